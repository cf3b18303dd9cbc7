import numpy as np
import pytest
import torch
from tests.certify.paranoid.balls import middle, step
from torch import nn

from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.windows import overlap_norm, sum_norm, window_max, window_norm, window_sum

ROWS, COLUMNS = [[0, 2], [1, 3], [2, 4]], [[0, 3], [2, 5]]


def pool(row_scales=(1.0, 0.5, 2.0), column_scales=(1.0, -0.25), **changes):
    attributes = {"rows": ROWS, "columns": COLUMNS, "row_scales": list(row_scales)}
    return step("window", attributes | {"column_scales": list(column_scales)} | changes)


def each_window(x, function):
    scales = np.outer([1.0, 0.5, 2.0], [1.0, -0.25])
    return scales * np.array([[[function(i[a:b, c:d]) for c, d in COLUMNS] for a, b in ROWS] for i in x[0]])


def test_values_and_constants():
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 5))
    for rule, function in ((window_sum, np.sum), (window_max, np.max), (window_norm, np.linalg.norm)):
        assert np.allclose(middle(rule(pool(), exact(x)))[0], each_window(x, function), rtol=0, atol=1e-14)
    basis = np.eye(20).reshape(20, 1, 4, 5)
    operator = np.stack([middle(window_sum(pool(), exact(b[None]))).ravel() for b in basis], 1)
    bound = float(sum_norm(pool(), x.shape).upper())
    true = np.linalg.norm(operator, 2)
    assert true * (1 - 1e-14) <= bound <= true * (1 + 1e-10)
    # Two row windows and two column windows share a pixel.
    assert overlap_norm(pool(), x.shape) == 2 * 2 * 1


def test_the_mean_of_blocks_is_half_of_the_identity():
    mean = pool([0.5] * 2, [0.5] * 2, rows=[[0, 2], [2, 4]], columns=[[0, 2], [2, 4]])
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    assert np.allclose(middle(window_sum(mean, exact(x.numpy()))), nn.AvgPool2d(2)(x).numpy(), rtol=0, atol=1e-15)
    assert 0.5 <= sum_norm(mean, (1, 1, 4, 4)).upper() <= 0.5 + 1e-15


@pytest.mark.parametrize(
    "changes", [{"rows": [[0, 9]] * 3}, {"rows": [[2, 1]] * 3}, {"rows": []}, {"row_scales": [1.0]}]
)
def test_windows_are_checked(changes):
    with pytest.raises(VerificationError, match="does not fit"):
        window_sum(pool(**changes), exact(np.zeros((1, 1, 4, 5))))


def test_empty_windows_have_no_maximum():
    with pytest.raises(VerificationError, match="no maximum"):
        window_max(pool(rows=[[1, 1]] * 3), exact(np.zeros((1, 1, 4, 5))))
