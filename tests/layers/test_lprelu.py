"""LPReLU: clamped slopes, an nn.PReLU as plain form, and a way back into the range."""

from __future__ import annotations

import pytest
import torch
from tests.layers.activations import largest_stretch, singular_values
from torch import nn

from onelip import lipschitz_bound
from onelip.layers import LPReLU, retract_


@pytest.mark.parametrize("weight", [-7.0, -1.0, -0.3, 0.0, 1.0, 1e6])
@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 3), (1, 6, 2, 2)])
def test_slopes_are_clamped(weight: float, shape: tuple[int, ...]) -> None:
    layer = LPReLU(6, weight, dtype=torch.float64)
    x = torch.randn(shape, dtype=torch.float64)
    slope = max(-1.0, min(1.0, weight))
    assert torch.equal(layer(x), torch.where(x > 0, x, slope * x))
    expected = torch.where(x > 0, torch.ones_like(x), abs(slope)).flatten().sort(descending=True).values
    assert torch.allclose(singular_values(layer, x), expected, rtol=0, atol=1e-15)
    assert largest_stretch(layer, shape[1:]) <= 1


@pytest.mark.parametrize("count", [1, 4])
def test_plain_form_is_torchs(count: int) -> None:
    layer = LPReLU(count)
    with torch.no_grad():
        layer.weight.uniform_(-2, 2)
    plain = layer.to_plain()
    assert isinstance(plain, nn.PReLU)
    x = torch.randn(3, 4, 2)
    assert torch.equal(plain(x), layer(x))
    assert lipschitz_bound(plain, (4, 2)).value == 1


def test_retraction_revives_a_weight_beyond_the_range() -> None:
    layer, x = LPReLU(1, 3.0), torch.full((2, 3), -1.0)
    before = layer(x)
    before.sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad.any()
    retract_(layer)
    assert torch.equal(layer(x), before)
    layer(x).sum().backward()
    assert bool(layer.weight.grad.all())


def test_one_slope_fits_any_shape() -> None:
    assert LPReLU()(torch.tensor(-4.0)) == -1
    assert LPReLU()(torch.zeros(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_refusals() -> None:
    with pytest.raises(ValueError, match="num_parameters=0 in LPReLU must be an integer of at least 1"):
        LPReLU(0)
    with pytest.raises(ValueError, match="init=nan in LPReLU must be a finite number"):
        LPReLU(1, float("nan"))
    with pytest.raises(ValueError, match="input with 3 channels in LPReLU must have channels=4"):
        LPReLU(4)(torch.zeros(1, 3))
