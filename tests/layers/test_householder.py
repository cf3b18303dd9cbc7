"""HouseHolder: reflections by hand, norm 1 (no factor 1/sqrt 2), every number of axes."""

from __future__ import annotations

import math

import pytest
import torch
from tests.layers.activations import largest_stretch, singular_values

from onelip.layers import HouseHolder, HouseHolder2
from onelip.layers.householder import fold_sectors, reflect_half_plane


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


def _order_2(channels: int) -> HouseHolder2:
    layer = HouseHolder2(channels, dtype=torch.float64)
    with torch.no_grad():
        layer.angle.uniform_(-20, 20)
    return layer


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 3), (1, 6, 2, 2)])
def test_every_singular_value_of_order_2_is_one(shape: tuple[int, ...]) -> None:
    for scale in (1.0, 1e-200, 0.0):
        x = scale * torch.randn(shape, dtype=torch.float64)
        assert float((singular_values(_order_2(6), x) - 1).abs().max()) < 1e-14
    assert largest_stretch(_order_2(6), shape[1:]) <= 1 + 1e-12


def test_order_2_in_polar_coordinates() -> None:
    """Sectors are kept, reflected at a, turned by -2b and reflected at 0, counted from the first ray."""
    start, a, b = 0.4, 1.2, 2.5
    t = torch.arange(0, 2 * math.pi, 0.01, dtype=torch.float64)
    angles = 2 * torch.tensor([start, a, b], dtype=torch.float64)[:, None]
    first, second = fold_sectors(torch.cos(t + start), torch.sin(t + start), angles)
    pieces = torch.stack([t, 2 * a - t, t - 2 * b, -t])
    sector = torch.stack([t >= a, t >= a + b, t >= math.pi + b]).sum(0)
    expected = pieces.gather(0, sector[None])[0] + start
    assert torch.allclose(first, torch.cos(expected), rtol=0, atol=1e-14)
    assert torch.allclose(second, torch.sin(expected), rtol=0, atol=1e-14)
    assert len(sector.unique()) == 4


@pytest.mark.parametrize("seed", range(4))
def test_order_2_is_continuous_across_every_ray(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    angles = 20 * torch.rand(3, 1, generator=generator, dtype=torch.float64) - 10
    t = torch.linspace(0, 2 * math.pi, 20001, dtype=torch.float64)
    image = torch.stack(fold_sectors(torch.cos(t), torch.sin(t), angles))
    steps = (image[:, 1:] - image[:, :-1]).norm(dim=0)
    assert float(steps.max()) <= 2 * math.pi / 20000 * (1 + 1e-9)


def test_order_2_contains_order_1() -> None:
    """With a first sector that is a half plane and a second of width 0, the other half plane is reflected."""
    x = torch.randn(500, 2, dtype=torch.float64)
    one, two = HouseHolder(2, dtype=torch.float64), HouseHolder2(2, dtype=torch.float64)
    with torch.no_grad():
        two.angle.copy_(torch.tensor([[math.pi / 2], [2 * math.pi], [0.0]], dtype=torch.float64))
        assert torch.allclose(two(x), one(x), rtol=0, atol=1e-14)


def test_angles_of_order_2_learn_wherever_they_are() -> None:
    layer = _order_2(8)
    layer(torch.randn(400, 8, dtype=torch.float64)).pow(3).sum().backward()
    assert layer.angle.grad is not None
    assert bool(layer.angle.grad.all())
    x = torch.zeros(1, 8, dtype=torch.float64, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_order_2_starts_at_random_and_refuses_odd_channels() -> None:
    torch.manual_seed(0)
    layer = HouseHolder2(64, -1)
    assert bool(((layer.angle >= 0) & (layer.angle <= math.pi)).all())
    assert layer(torch.zeros(2, 3, 64)).shape == (2, 3, 64)
    assert layer(torch.zeros(2, 64, dtype=torch.bfloat16)).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="channels=5 in HouseHolder2 must be even"):
        HouseHolder2(5)
