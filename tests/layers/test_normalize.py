"""Normalize: the smallest deviation sets the constant."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from onelip.layers import Normalize


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bound_is_the_reciprocal_of_the_smallest_deviation_rounded_up(dtype: torch.dtype) -> None:
    layer = Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.1], dtype=dtype)
    bound = layer.lipschitz_bound()
    smallest = Fraction(float(layer.std.min()))
    assert bound.proved
    assert Fraction(bound.value) * smallest >= 1
    assert bound.value == pytest.approx(10, rel=1e-7)
    jacobian = torch.func.jacrev(layer)(torch.randn(1, 3, 2, dtype=dtype)).reshape(6, 6)
    assert float(torch.linalg.svdvals(jacobian.double())[0]) == pytest.approx(bound.value, rel=1e-6)


def test_powers_of_two_are_exact() -> None:
    assert Normalize([0], [0.25]).lipschitz_bound().value == 4.0


def test_formula_for_each_channel() -> None:
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    y = Normalize([1, -1], [2, 0.5], dtype=torch.float64)(x)
    assert torch.equal(y[:, 0], (x[:, 0] - 1) / 2)
    assert torch.equal(y[:, 1], (x[:, 1] + 1) / 0.5)


@pytest.mark.parametrize(
    ("mean", "std"),
    [([0.0], [0.0]), ([0.0], [-1.0]), ([0.0], [1e-60]), ([0.0], [float("nan")]), ([float("inf")], [1.0])],
)
def test_numbers_that_give_no_constant_are_refused(mean: list[float], std: list[float]) -> None:
    with pytest.raises(ValueError, match="in Normalize must be"):
        Normalize(mean, std)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="must have one entry for each channel"):
        Normalize([0.0, 0.0], [1.0])
    with pytest.raises(ValueError, match=r"input of shape .* in Normalize must have 2 channels"):
        Normalize([0, 0], [1, 1])(torch.zeros(1, 3))


def test_bound_refuses_a_deviation_set_to_zero_later() -> None:
    layer = Normalize([0], [1])
    layer.std.zero_()
    with pytest.raises(ValueError, match="must be positive and finite"):
        layer.lipschitz_bound()
