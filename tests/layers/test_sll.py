"""SLL: the row-sum scaling, its weights, and its inverse."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelip.layers import SLLConv2d, SLLLinear
from onelip.layers.sll import balanced_log_weights, divide_by_row_sums
from onelip.linalg import conv_norm_bound


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0, 60), st.sampled_from([(1, 3), (2, 2), (1, 1)]))
def test_norm_is_at_most_one_for_any_weights(seed: int, spread: float, layout: tuple[int, int]) -> None:
    groups, size = layout
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(4, 4 // groups, size, size, generator=generator, dtype=torch.float64)
    log_q = spread * torch.randn(4, generator=generator, dtype=torch.float64)
    scaled = divide_by_row_sums(kernel, log_q, groups)
    spectrum = torch.fft.fft2(scaled, s=(16, 16)).unflatten(0, (groups, -1)).movedim((1, 2), (-2, -1))
    assert float(torch.linalg.svdvals(spectrum).max()) <= 1 + 1e-12


def test_formula_of_the_paper_for_a_matrix() -> None:
    layer = SLLLinear(5, 5, inner_features=3, dtype=torch.float64)
    with torch.no_grad():
        layer.log_q.normal_()
    w0, q, x = layer.raw_weight.detach(), layer.log_q.detach().exp(), torch.randn(4, 5, dtype=torch.float64)
    t = ((w0 @ w0.T).abs() * q / q[:, None]).sum(1)
    hidden = torch.relu(x @ w0.T + layer.bias.detach() * t.sqrt())
    expected = x - 2 * (hidden / t) @ w0
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e30])
def test_scale_of_the_raw_kernel_does_not_matter(scale: float) -> None:
    layer = SLLConv2d(6, 6, 3, padding=1)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.raw_weight.mul_(scale)
    assert torch.allclose(layer.weight, before, rtol=1e-5, atol=1e-6)


def test_zero_channels_stay_zero_with_finite_gradients() -> None:
    layer = SLLConv2d(4, 4, 3, padding=1)
    with torch.no_grad():
        layer.raw_weight[1] = 0
    layer(torch.randn(2, 4, 5, 5)).square().sum().backward()
    assert not layer.weight[1].any()
    assert layer.raw_weight.grad is not None
    assert bool(torch.isfinite(layer.raw_weight.grad).all())


def test_weights_learn_from_the_start() -> None:
    layer = SLLConv2d(4, 4, 3, padding=1)
    layer(torch.randn(2, 4, 5, 5)).square().sum().backward()
    assert layer.log_q.grad is not None
    assert float(layer.log_q.grad.abs().max()) > 1e-4


def test_balanced_weights_undo_the_scaling() -> None:
    kernel, log_q = torch.randn(6, 3, 3, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    scaled = divide_by_row_sums(kernel, log_q, 2)
    again = divide_by_row_sums(scaled, balanced_log_weights(scaled, 2), 2)
    assert torch.allclose(again, scaled, rtol=0, atol=1e-10)


def test_bound_proves_one() -> None:
    layer = SLLConv2d(8, 8, 3, padding=1).eval()
    assert conv_norm_bound(layer.weight).value <= 1 + 1e-6
    assert layer.lipschitz_bound().proved
