"""ConvexResidual: weights that sum to 1, the true norm, the composed bound, the plain form."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from tests.layers.activations import singular_values
from torch import nn

from onelip.layers import AdditiveResidual, ConvexResidual, MaxMin, Scale, Sum, to_plain
from onelip.linalg import Bound


def _mixture(factors: list[float], seed: int = 0, size: float = 2.0) -> ConvexResidual:
    layer = ConvexResidual(*(nn.Sequential(Scale(f), nn.Identity()) for f in factors)).double()
    with torch.no_grad():
        layer.logits.normal_(0, size, generator=torch.Generator().manual_seed(seed))
    return layer


@pytest.mark.parametrize("factors", [[1.0], [0.5, 2.0], [1.0, 0.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
@pytest.mark.parametrize("size", [0.0, 2.0, 500.0])
def test_norm_is_the_weighted_mean_and_below_the_bound(factors: list[float], size: float) -> None:
    layer = _mixture(factors, size=size)
    weights = layer.logits.detach().softmax(0)
    expected = float((weights * torch.tensor(factors).double()).sum())
    norm = float(singular_values(layer, torch.randn(1, 4, dtype=torch.float64))[0])
    assert norm == pytest.approx(expected, rel=1e-13, abs=1e-300)
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert norm <= bound.value * (1 + 1e-14)
    assert bound.value <= min(max(factors), expected * (1 + 1e-11) + 1e-290)


@pytest.mark.parametrize("seed", range(5))
def test_weights_sum_to_at_most_one(seed: int) -> None:
    weights = _mixture([1.0] * (seed + 1), seed).weights()
    total = sum(map(Fraction, weights))
    assert 1 - Fraction(2) ** -48 < total <= 1


def test_with_a_skip_connection_it_is_the_additive_residual() -> None:
    additive, convex = AdditiveResidual(MaxMin()).double(), ConvexResidual(nn.Identity(), MaxMin()).double()
    with torch.no_grad():
        convex.logits.copy_(torch.stack([additive.alpha, torch.zeros_like(additive.alpha)]))
    x = torch.randn(4, 6, dtype=torch.float64)
    assert torch.allclose(convex(x), additive(x), rtol=0, atol=1e-15)


def test_plain_form_is_a_sum_of_scaled_branches() -> None:
    layer = ConvexResidual(nn.Identity(), MaxMin(), MaxMin(-1)).double()
    plain, x = to_plain(layer), torch.randn(4, 6, dtype=torch.float64)
    assert isinstance(plain, Sum)
    assert torch.allclose(plain(x), layer(x), rtol=0, atol=1e-15)
    assert plain.lipschitz_bound().value <= 1 + 1e-15
    assert layer.lipschitz_bound().value == 1


def test_refusals_and_estimates() -> None:
    with pytest.raises(ValueError, match=r"branches=\(\) in ConvexResidual must be one module or more"):
        ConvexResidual()
    with pytest.raises(ValueError, match="in ConvexResidual must be one module or more"):
        ConvexResidual(nn.Identity(), 3)  # type: ignore[arg-type]
    layer = ConvexResidual(nn.Identity(), nn.Linear(2, 2))
    with pytest.raises(ValueError, match="branch Linear has no lipschitz_bound"):
        layer.lipschitz_bound()
    assert not layer.bound_from([Bound(1.0, True, "exact"), Bound(1.0, False, "estimate")]).proved
    with torch.no_grad():
        layer.logits[0] = float("nan")
    with pytest.raises(ValueError, match="in ConvexResidual must be finite"):
        layer.weights()
