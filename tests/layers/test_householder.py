"""HouseHolder: reflections by hand, norm 1 (no factor 1/sqrt 2), every number of axes."""

from __future__ import annotations

import math

import pytest
import torch

from onelip.layers import HouseHolder
from onelip.layers.householder import reflect_half_plane


def _generic(channels: int, dtype: torch.dtype = torch.float64) -> HouseHolder:
    layer = HouseHolder(channels, dtype=dtype)
    with torch.no_grad():
        layer.angle.uniform_(-7, 7)
    return layer


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 3), (1, 6, 2, 2)])
def test_every_singular_value_is_one(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    jacobian = torch.func.jacrev(_generic(6))(x).detach().reshape(x.numel(), x.numel())
    values = torch.linalg.svdvals(jacobian).detach()
    assert float((values - 1).abs().max()) < 1e-14


def test_formula_of_the_paper() -> None:
    angle, x, y = torch.rand(3, 1000, dtype=torch.float64) * 8 - 4
    first, second = reflect_half_plane(x, y, angle)
    reflected = x * torch.sin(angle / 2) - y * torch.cos(angle / 2) > 0
    expected_first = torch.where(reflected, x * torch.cos(angle) + y * torch.sin(angle), x)
    expected_second = torch.where(reflected, x * torch.sin(angle) - y * torch.cos(angle), y)
    assert torch.allclose(first, expected_first, rtol=0, atol=1e-14)
    assert torch.allclose(second, expected_second, rtol=0, atol=1e-14)


def test_starts_as_a_sorted_pair() -> None:
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    a, b = x.chunk(2, 1)
    expected = torch.cat([torch.minimum(a, b), torch.maximum(a, b)], 1)
    assert torch.allclose(HouseHolder(6, dtype=torch.float64)(x), expected, rtol=0, atol=1e-15)


def test_is_one_lipschitz_across_the_border() -> None:
    layer = _generic(8)
    x, y = torch.randn(2, 2000, 8, dtype=torch.float64)
    y = x + 0.1 * y
    stretch = (layer(x) - layer(y)).detach().norm(dim=1) / (x - y).norm(dim=1)
    assert float(stretch.max()) <= 1 + 1e-13


def test_axis_precision_and_refusals() -> None:
    layer = HouseHolder(4, -1)
    assert layer(torch.zeros(2, 3, 4)).shape == (2, 3, 4)
    assert layer(torch.zeros(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert math.isclose(layer.angle[0].item(), math.pi / 2, rel_tol=1e-7)
    with pytest.raises(ValueError, match="channels=3 in HouseHolder must be even"):
        HouseHolder(3)
    with pytest.raises(ValueError, match="input with 6 channels in HouseHolder must have channels=4"):
        layer(torch.zeros(1, 6))
