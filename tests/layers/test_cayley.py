"""Cayley: the transform against its definition, hard free matrices, and the dense inverse."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import CayleyConv2d, CayleyLinear
from onelip.layers.cayley import cayley_transform


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 6, 3), (2, 3, 6), (5, 1, 1)])
def test_definition(shape: tuple[int, ...]) -> None:
    free = torch.randn(shape, dtype=torch.complex128)
    tall = free if shape[-2] >= shape[-1] else free.mH
    n = tall.shape[-1]
    u, v, eye = tall[:, :n], tall[:, n:], torch.eye(n, dtype=torch.complex128)
    a = u - u.mH + v.mH @ v
    # Q (I + A) = [I - A; -2 V] needs no inverse to check.
    expected = torch.cat([eye - a, -2 * v], -2)
    q = cayley_transform(free)
    q = q if shape[-2] >= shape[-1] else q.mH
    assert torch.allclose(q @ (eye + a), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 30.0, 1e6, 1e20])
@pytest.mark.parametrize("shape", [(5, 6, 6), (5, 9, 4)])
def test_unitary_in_single_precision_at_any_scale(scale: float, shape: tuple[int, ...]) -> None:
    free = (scale * torch.randn(shape, dtype=torch.complex64)).requires_grad_()
    q = cayley_transform(free)
    values = torch.linalg.svdvals(q.detach().to(torch.complex128))
    assert float((values - 1).abs().max()) < 1e-5
    q.real.sum().backward()
    assert free.grad is not None
    assert bool(torch.isfinite(torch.view_as_real(free.grad)).all())


@pytest.mark.parametrize("image", [(4, 6), (5, 5), (7, 3), (2, 2)])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (3, 6), (6, 3)])
def test_orthogonal_at_every_image_size(inputs: int, outputs: int, image: tuple[int, int]) -> None:
    layer = CayleyConv2d(inputs, outputs, 3, padding="same", padding_mode="circular", dtype=torch.float64)
    x = torch.zeros(1, inputs, *image, dtype=torch.float64)
    jacobian = torch.func.jacrev(layer)(x).detach().reshape(-1, x.numel())
    values = torch.linalg.svdvals(jacobian)
    assert float((values - 1).abs().max()) < 1e-12
    assert layer(x).shape == (1, outputs, *image)


def test_length_is_there_from_the_start_and_learns() -> None:
    layer = CayleyConv2d(3, 3, 3, padding="same", padding_mode="circular")
    assert float(layer.length.detach()) == pytest.approx(float(layer.raw_weight.detach().norm()), rel=1e-6)
    layer(torch.randn(2, 3, 4, 4)).square()[..., 0].sum().backward()
    assert layer.length.grad is not None
    assert float(layer.length.grad.abs()) > 0


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 5), (4, 7), (7, 4)])
def test_assigned_rotation_comes_back(inputs: int, outputs: int) -> None:
    target = CayleyLinear(inputs, outputs, dtype=torch.float64).weight.detach()
    layer = CayleyLinear(inputs, outputs, dtype=torch.float64)
    layer.weight = target
    assert torch.allclose(layer.weight, target, rtol=0, atol=1e-10)


def test_assigned_reflection_becomes_a_finite_orthogonal_matrix() -> None:
    layer = CayleyLinear(3, 3)
    layer.weight = -torch.eye(3)
    values = torch.linalg.svdvals(layer.weight.detach())
    assert float((values - 1).abs().max()) < 1e-5


def test_more_than_130_channels() -> None:
    # Where some builds of torch get LU wrong.
    layer = CayleyConv2d(140, 140, 3, padding=1, padding_mode="circular")
    for training in (True, False):
        with torch.no_grad():
            spectrum = layer.train(training).spectrum((2, 3)).to(torch.complex128)
        assert float((spectrum.mH @ spectrum - torch.eye(140)).abs().max()) < 1e-5


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 6, 3), (2, 3, 6)])
def test_gradient(shape: tuple[int, ...]) -> None:
    free = torch.randn(shape, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(cayley_transform, (free,), atol=1e-7)
