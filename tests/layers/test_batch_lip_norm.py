"""BatchLipNorm: one factor for all channels, never above its limit, proved from the stored variances."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from tests.layers.activations import singular_values

from onelip.layers import BatchLipNorm, Normalize


@pytest.mark.parametrize("shape", [(50, 3), (50, 3, 4), (50, 3, 2, 2)])
def test_training_brings_the_widest_channel_to_unit_deviation(shape: tuple[int, ...]) -> None:
    spread = torch.tensor([2.0, 5.0, 1.0], dtype=torch.float64).reshape(-1, *[1] * (len(shape) - 2))
    x = 3 + spread * torch.randn(shape, dtype=torch.float64)
    layer = BatchLipNorm(3, eps=0.0, momentum=1.0, dtype=torch.float64)
    y, axes = layer(x).detach(), [0, *range(2, len(shape))]
    assert float(y.mean(axes).abs().max()) < 1e-14
    deviations = x.std(axes, correction=0)
    assert torch.allclose(y.std(axes, correction=0), deviations / deviations.max(), rtol=1e-13)
    # With the last batch's statistics, eval is the same function, and each of its singular values the same.
    assert torch.allclose(layer.eval()(x), y, rtol=0, atol=1e-13)
    values = singular_values(layer, x[:1])
    assert torch.allclose(values, (1 / deviations.max()).expand_as(values), rtol=1e-13)


@pytest.mark.parametrize("constant", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("variance", [0.0, 1e-8, 0.1, 1.0, 7.3, 1e8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bound_is_the_factor_and_below_the_limit(constant: float, variance: float, dtype: torch.dtype) -> None:
    layer = BatchLipNorm(2, constant=constant, dtype=dtype).eval()
    layer.running_var.copy_(torch.tensor([variance / 3, variance]))
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert bound.value <= constant
    stored = float(layer.running_var[1])
    assert bound.value == pytest.approx(min(constant, 1 / math.sqrt(stored + 1e-5)), rel=1e-14)
    if bound.value < constant:
        assert Fraction(bound.value) ** 2 * (Fraction(stored) + Fraction(1e-5)) >= 1
    plain = layer.to_plain()
    assert isinstance(plain, Normalize)
    assert plain.lipschitz_bound().value <= bound.value
    x = torch.randn(4, 2, dtype=dtype)
    assert torch.allclose(plain(x), layer(x), rtol=1e-6, atol=0)


def test_bias_is_part_of_the_plain_form() -> None:
    layer = BatchLipNorm(2, constant=4.0, dtype=torch.float64).eval()
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, -2.0]))  # type: ignore[union-attr]
    layer.running_mean.copy_(torch.tensor([5.0, 6.0]))
    layer.running_var.fill_(0.25)
    x = torch.randn(4, 2, dtype=torch.float64)
    expected = (x - torch.tensor([5.0, 6.0])) / math.sqrt(0.25 + 1e-5) + torch.tensor([1.0, -2.0])
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-12)
    assert torch.allclose(layer.to_plain()(x), expected, rtol=0, atol=1e-12)
    assert len(list(BatchLipNorm(2, bias=False).parameters())) == 0


def test_constant_batches_have_finite_gradients() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    layer = BatchLipNorm(3, eps=0.0)
    layer(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_unused_layer_is_nearly_the_identity() -> None:
    assert BatchLipNorm(2).lipschitz_bound().value == pytest.approx(1 / math.sqrt(1 + 1e-5), rel=1e-14)


def test_refusals() -> None:
    for constant in (0, -1.0, float("inf"), "1"):
        with pytest.raises(ValueError, match="in BatchLipNorm must be a finite number of at least 1e-100"):
            BatchLipNorm(2, constant=constant)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"eps=-1\.0 in BatchLipNorm must be a finite number of at least 0"):
        BatchLipNorm(2, eps=-1.0)
    layer = BatchLipNorm(2)
    layer.running_var.fill_(-1.0)
    with pytest.raises(ValueError, match="in BatchLipNorm must not be negative"):
        layer.lipschitz_bound()
