import torch

from onelip.certify.values import exact, rounded, sample_norms
from onelip.linalg import UNIT_ROUNDOFF


def test_norms_are_upper_bounds():
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    assert bool((sample_norms(x) >= x.flatten(1).norm(dim=1)).all())


def test_errors():
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    assert float(exact(x)[1]) == 0
    error = float(rounded(x, 2)[1])
    assert 5 * 2 * UNIT_ROUNDOFF <= error <= 5 * 4 * UNIT_ROUNDOFF
