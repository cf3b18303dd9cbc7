import numpy as np
import pytest
import torch
import torch.nn.functional as F

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.certify.checker.windows import (
    matrices,
    matrices_constant,
    max_constant,
    max_windows,
    overlap_constant,
    window_norm,
)

X = np.random.default_rng(0).standard_normal((2, 3, 6, 6))


def step(rows=((0, 2), (2, 4), (4, 6)), columns=((0, 3), (3, 6)), row_scales=None, column_scales=None):
    attributes = {
        "rows": [list(r) for r in rows],
        "columns": [list(c) for c in columns],
        "row_scales": list(row_scales or [1.0] * len(rows)),
        "column_scales": list(column_scales or [1.0] * len(columns)),
    }
    return Step("s", "window", ("input",), attributes, {}, 1.0, None)


def listed(axes, windows):
    return Step("s", "max_windows", ("input",), {"axes": axes, "windows": windows}, {}, 1.0, None)


def product(axes, *arrays):
    return Step("s", "matrices", ("input",), {"axes": axes}, {f"matrix{k}": a for k, a in enumerate(arrays)}, 1.0, None)


def test_against_torch():
    t = torch.from_numpy(X)
    assert np.allclose(window_norm(step(), X)[0], F.lp_pool2d(t, 2, (2, 3)), rtol=1e-13)
    pool = listed([1, 2], [[[0, 1], [2, 3], [4, 5]], [[0, 1, 2], [3, 4, 5]]])
    assert np.array_equal(max_windows(pool, X)[0], F.max_pool2d(t, (2, 3)))


def test_products_along_axes():
    first, second = np.random.default_rng(1).standard_normal((4, 3)), np.random.default_rng(2).standard_normal((2, 6))
    y, error = matrices(product([0, 2], first, second), X)
    assert np.allclose(y, np.einsum("ac,nchw,bw->nahb", first, X, second), rtol=1e-13)
    assert (error > 0).all()
    norm = np.linalg.norm(first, 2) * np.linalg.norm(second, 2)
    assert norm <= matrices_constant(product([0, 2], first, second), X.shape) <= norm * (1 + 1e-9)


def test_constants():
    shape = (1, 1, 6, 6)
    assert overlap_constant(step(), shape) == 1
    overlapping = step(rows=[(0, 4), (2, 6)], row_scales=[-3.0, 0.5])
    assert overlap_constant(overlapping, shape) == pytest.approx(3 * 2**0.5)
    assert max_constant(listed([1, 2], [[[0, 1], [1, 2], [1]], [[0], [0]]]), shape) == pytest.approx(6**0.5)
    # The same entry twice in one window counts once.
    assert max_constant(listed([2], [[[0, 0, 0]]]), shape) == 1


@pytest.mark.parametrize(
    "bad",
    [
        step(rows=[(0, 7)]), step(rows=[(-1, 2)]), step(rows=[(4, 2)]), step(rows=[(0.0, 2)]), step(rows=[(0, 1, 2)]),
        step(row_scales=[1.0]), step(rows=[], row_scales=[]),
    ],
)  # fmt: skip
def test_bad_windows(bad):
    with pytest.raises(VerificationError, match="'s'"):
        window_norm(bad, X)


@pytest.mark.parametrize(
    "bad",
    [
        listed([1], [[[]]]), listed([1], [[]]), listed([1], [[[6]]]), listed([1], [[[-1]]]), listed([1], [[[0.0]]]),
        listed([1, 1], [[[0]], [[0]]]), listed([3], [[[0]]]), listed([1], []), listed([], []),
    ],
)  # fmt: skip
def test_bad_lists_of_windows(bad):
    for function in (lambda: max_windows(bad, X), lambda: max_constant(bad, X.shape)):
        with pytest.raises(VerificationError, match="'s'"):
            function()


@pytest.mark.parametrize(
    "bad",
    [product([0], np.ones((2, 4))), product([0, 0], np.eye(3), np.eye(3)), product([3], np.eye(3)), product([])],
)
def test_bad_matrices(bad):
    with pytest.raises(VerificationError, match="'s'"):
        matrices(bad, X)
