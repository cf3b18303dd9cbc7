"""SoftHuber: the formula, its limits, and a derivative below 1."""

from __future__ import annotations

import mpmath
import pytest
import torch
from tests.layers.activations import largest_stretch, singular_values

from onelip.layers import SoftHuber


@pytest.mark.parametrize("delta", [1e-3, 0.05, 2.0])
def test_formula_in_many_digits(delta: float) -> None:
    x = torch.cat([torch.randn(40, dtype=torch.float64), torch.tensor([1e-12, -1e-6, 1e30]).double(), torch.zeros(1)])
    y = SoftHuber(delta)(x)
    with mpmath.workdps(60):
        d = mpmath.mpf(delta)
        exact = [float(d * (mpmath.sqrt(1 + (mpmath.mpf(v) / d) ** 2) - 1)) for v in x.tolist()]
    assert torch.allclose(y, torch.tensor(exact, dtype=torch.float64), rtol=1e-15, atol=0)


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 2, 2)])
def test_slopes_are_those_of_the_formula_and_below_one(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    expected = (x.abs() / (0.25 + x**2).sqrt()).flatten().sort(descending=True).values
    values = singular_values(SoftHuber(0.5), x)
    assert torch.allclose(values, expected, rtol=0, atol=1e-14)
    assert largest_stretch(SoftHuber(0.5), shape[1:]) <= 1


def test_slope_at_zero_and_far_out_is_finite() -> None:
    x = torch.tensor([0.0, -1e30, 1e30, 3e38], requires_grad=True)
    SoftHuber()(x).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, torch.tensor([0.0, -1.0, 1.0, 1.0]))


@pytest.mark.parametrize("delta", [0, -1.0, float("inf"), float("nan"), "1", None, True])
def test_refusals(delta: object) -> None:
    with pytest.raises(ValueError, match="in SoftHuber must be a positive finite number"):
        SoftHuber(delta)  # type: ignore[arg-type]
