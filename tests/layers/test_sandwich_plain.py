"""Plain sandwiches: the constant over pairs and Jacobians, nearly attained, in space and by frequencies."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.layers import FrequencySandwich2d, Sandwich1d
from onelip.layers.frequency import kernel_spectrum


def largest_stretch(layer: nn.Module, shape: tuple[int, ...], points: int = 40) -> float:
    """Largest singular value of Jacobians at random points."""
    best = 0.0
    for _ in range(points):
        x = 3 * torch.randn(1, *shape, dtype=torch.float64)
        jacobian = torch.func.jacrev(layer)(x).detach().reshape(-1, x.numel())
        best = max(best, float(torch.linalg.svdvals(jacobian)[0]))
    return best


@pytest.mark.parametrize(("inner", "inputs", "outputs"), [(4, 3, 5), (6, 6, 6), (1, 2, 1), (9, 2, 3)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_any_stored_numbers_are_within_the_bound(inner: int, inputs: int, outputs: int, scale: float) -> None:
    weight = scale * torch.randn(inner, outputs + inputs, dtype=torch.float64)
    layer = Sandwich1d(weight, torch.randn(inner, dtype=torch.float64), outputs)
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert bound.value <= float(torch.linalg.svdvals(weight)[0]) ** 2 * (1 + 1e-7)
    assert largest_stretch(layer, (inputs,)) <= bound.value
    x, y = torch.randn(2, 500, inputs, dtype=torch.float64)
    assert bool(((layer(x) - layer(y)).norm(dim=1) <= bound.value * (x - y).norm(dim=1)).all())


def test_bound_is_attained() -> None:
    # A = B = c I / sqrt(2), all units on: y = c x, and ||[A B]||^2 = c.
    for c in (0.5, 1.0, 2.0):
        half = (c / 2) ** 0.5 * torch.eye(3, dtype=torch.float64)
        layer = Sandwich1d(torch.cat([half, half], 1), 10 * torch.ones(3, dtype=torch.float64), 3)
        assert largest_stretch(layer, (3,), 1) == pytest.approx(c, rel=1e-12)
        assert layer.lipschitz_bound().value == pytest.approx(c, rel=1e-8)


@pytest.mark.parametrize("image", [(3, 4), (4, 5), (1, 1)])
def test_frequencies_are_within_the_bound(image: tuple[int, int]) -> None:
    # Not Hermitian at the frequencies that are their own mirror images, as stored numbers need not be.
    spectrum = torch.randn(image[0], image[1] // 2 + 1, 2, 3, 4, dtype=torch.complex128)
    layer = FrequencySandwich2d(spectrum, torch.randn(6, dtype=torch.float64), image, outputs=2)
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert bound.value <= float(torch.linalg.svdvals(spectrum).max()) ** 2 * (1 + 1e-7)
    assert largest_stretch(layer, (4, *image), 10) <= bound.value


def test_frequencies_are_convolutions() -> None:
    outer, inner = nn.Conv2d(4, 3, 3, 1, 1, bias=False).double(), nn.Conv2d(2, 4, 3, 1, 1, padding_mode="circular")
    inner = inner.double()
    a, b = (
        kernel_spectrum(kernel, (4, 5), (1, 1)) for kernel in (outer.weight.transpose(0, 1).flip(2, 3), inner.weight)
    )
    layer = FrequencySandwich2d(torch.cat([a, b], -1), inner.bias, (4, 5), outputs=3)
    x = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    outer.padding_mode, outer._reversed_padding_repeated_twice = "circular", [1, 1, 1, 1]
    torch.testing.assert_close(layer(x), 2 * outer(inner(x).relu()), rtol=0, atol=1e-12)
    assert layer(x[0]).shape == (3, 4, 5)


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"outputs=4 in Sandwich1d must leave inputs of the 4 columns"):
        Sandwich1d(torch.zeros(2, 4), None, 4)
    with pytest.raises(ValueError, match=r"bias=\(3,\) in Sandwich1d must have shape \(2,\)"):
        Sandwich1d(torch.zeros(2, 4), torch.zeros(3), 2)
    spectrum = torch.zeros(4, 3, 1, 2, 4, dtype=torch.complex64)
    with pytest.raises(ValueError, match=r"spectrum of shape .* in FrequencySandwich2d must be complex"):
        FrequencySandwich2d(spectrum, None, (4, 6), 2)
    with pytest.raises(ValueError, match=r"image of size \(5, 4\) in FrequencySandwich2d must be \(4, 4\)"):
        FrequencySandwich2d(spectrum, None, (4, 4), 2)(torch.zeros(1, 2, 5, 4))
