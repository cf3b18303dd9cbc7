import numpy as np
import pytest
import torch
import torch.nn.functional as F

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.certify.checker.windows import overlap_constant, sum_constant, window_max, window_norm, window_sum

X = np.random.default_rng(0).standard_normal((2, 3, 6, 6))


def step(rows=((0, 2), (2, 4), (4, 6)), columns=((0, 3), (3, 6)), row_scales=None, column_scales=None):
    attributes = {
        "rows": [list(r) for r in rows],
        "columns": [list(c) for c in columns],
        "row_scales": list(row_scales or [1.0] * len(rows)),
        "column_scales": list(column_scales or [1.0] * len(columns)),
    }
    return Step("s", "window", ("input",), attributes, {}, 1.0, None)


def test_against_torch():
    t = torch.from_numpy(X)
    average = step(row_scales=[0.5] * 3, column_scales=[1 / 3] * 2)
    assert np.allclose(window_sum(average, X)[0], F.avg_pool2d(t, (2, 3)), rtol=1e-13)
    assert np.array_equal(window_max(step(), X)[0], F.max_pool2d(t, (2, 3)))
    assert np.allclose(window_norm(step(), X)[0], F.lp_pool2d(t, 2, (2, 3)), rtol=1e-13)


def test_constants():
    shape = (1, 1, 6, 6)
    assert sum_constant(step(), shape) == pytest.approx(6**0.5)
    assert overlap_constant(step(), shape) == 1
    overlapping = step(rows=[(0, 4), (2, 6)], row_scales=[-3.0, 0.5])
    assert overlap_constant(overlapping, shape) == pytest.approx(3 * 2**0.5)
    matrix = np.zeros((2, 6))
    matrix[0, :4], matrix[1, 2:] = -3, 0.5
    assert sum_constant(overlapping, shape) == pytest.approx(np.linalg.norm(matrix, 2) * 3**0.5)


@pytest.mark.parametrize(
    "bad",
    [
        step(rows=[(0, 7)]), step(rows=[(-1, 2)]), step(rows=[(4, 2)]), step(rows=[(0.0, 2)]), step(rows=[(0, 1, 2)]),
        step(row_scales=[1.0]), step(rows=[], row_scales=[]),
    ],
)  # fmt: skip
def test_bad_windows(bad):
    with pytest.raises(VerificationError, match="'s'"):
        window_sum(bad, X)


def test_an_empty_window_has_a_sum_but_no_maximum():
    empty = step(rows=[(3, 3)])
    assert not window_sum(empty, X)[0].any()
    with pytest.raises(VerificationError, match="no maximum"):
        window_max(empty, X)
