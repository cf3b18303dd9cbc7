import numpy as np
import pytest
from flint import arb
from tests.certify.paranoid.balls import middle, step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.windows import (
    longest_norm,
    matrices,
    matrices_norm,
    matrices_sum,
    max_norm,
    max_windows,
    overlap_norm,
    window_norm,
)

ROWS, COLUMNS = [[0, 2], [1, 3], [2, 4]], [[0, 3], [2, 5]]
X = np.random.default_rng(0).standard_normal((1, 2, 4, 5))


def pool(**changes):
    scales = {"row_scales": [1.0, 0.5, 2.0], "column_scales": [1.0, -0.25]}
    return step("window_norm", {"rows": ROWS, "columns": COLUMNS} | scales | changes)


def test_norms_of_windows():
    scales = np.outer([1.0, 0.5, 2.0], [1.0, -0.25])
    expected = scales * np.array([[[np.linalg.norm(i[a:b, c:d]) for c, d in COLUMNS] for a, b in ROWS] for i in X[0]])
    assert np.allclose(middle(window_norm(pool(), exact(X)))[0], expected, rtol=0, atol=1e-14)
    # Two row windows and two column windows share a pixel.
    assert overlap_norm(pool(), X.shape) == 2 * 2 * 1
    assert longest_norm(pool(), X.shape).overlaps(2 * arb(2).sqrt() * arb(3).sqrt())


def test_matrices():
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((3, 5)), rng.standard_normal((2, 4))
    given = step("matrices", {"axes": [2, 1]}, matrix0=first, matrix1=second)
    expected = np.einsum("ncij,ai,bj->ncab", X, second, first)
    assert np.allclose(middle(matrices(given, exact(X))), expected, rtol=0, atol=1e-13)
    true = np.linalg.norm(np.kron(second, first), 2)
    assert true * (1 - 1e-14) <= matrices_norm(given, X.shape).upper() <= true * (1 + 1e-12)
    assert abs(float(matrices_sum(given, X.shape).mid()) - np.abs(np.kron(second, first)).sum(1).max()) < 1e-13


def test_maxima():
    given = step("max_windows", {"axes": [1, 2], "windows": [[[0, 2], [2, 3]], [[0], [0, 1, 2], [0, 4]]]})
    expected = np.array(
        [[[i[np.ix_(a, b)].max() for b in ([0], [0, 1, 2], [0, 4])] for a in ([0, 2], [2, 3])] for i in X[0]]
    )
    assert np.array_equal(middle(max_windows(given, exact(X)))[0], expected)
    assert max_norm(given, X.shape).overlaps(arb(6).sqrt())


@pytest.mark.parametrize(
    "changes", [{"rows": [[0, 9]] * 3}, {"rows": [[2, 1]] * 3}, {"rows": []}, {"row_scales": [1.0]}]
)
def test_windows_are_checked(changes):
    with pytest.raises(VerificationError, match="does not fit"):
        window_norm(pool(**changes), exact(X))


def test_lists_are_checked():
    for windows in ([[[0, 4]]], [[[]]], [[]], [[[-1]]], [[[0]], [[0]]]):
        with pytest.raises(VerificationError, match="does not fit"):
            max_windows(step("max_windows", {"axes": [1], "windows": windows}), exact(X))
    with pytest.raises(VerificationError, match="does not fit"):
        matrices(step("matrices", {"axes": [1]}, matrix0=np.ones((2, 3))), exact(X))
