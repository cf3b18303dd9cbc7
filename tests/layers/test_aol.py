"""AOL: the norm is at most 1 for every stride, dilation and grouping; orthogonal kernels stay; weights come back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.layers.dense import dense_matrix, singular_values

from onelip.layers import AOCConv2d, AOLConv2d, AOLConvTranspose2d, AOLLinear
from onelip.layers.aol import aol, aol_right_inverse

CASES: list[tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ((4, 4, 3), {"padding": 1}, (4, 5, 7)),
    ((3, 6, 3), {"padding": 1}, (3, 5, 5)),
    ((6, 3, (3, 2)), {"padding": (1, 0)}, (6, 5, 5)),
    ((8, 4, 3), {"padding": 1, "groups": 2}, (8, 5, 5)),
    ((4, 4, 3), {"padding": 1, "groups": 4}, (4, 5, 5)),
    ((1, 1, 3), {"padding": 1}, (1, 5, 5)),
    ((3, 8, 3), {"padding": 1, "stride": 2}, (3, 6, 8)),
    ((2, 16, 3), {"padding": 1, "stride": 2}, (2, 6, 8)),
    ((2, 8, (3, 4)), {"padding": 1, "stride": (1, 2)}, (2, 4, 6)),
    ((3, 12, 3), {"padding": 2, "stride": 2, "dilation": 2}, (3, 8, 8)),
    ((2, 16, 3), {"padding": 3, "stride": 2, "dilation": 3}, (2, 8, 8)),
    ((4, 4, 3), {"padding": 2, "dilation": 2}, (4, 6, 7)),
    ((2, 12, 1), {"stride": 2}, (2, 4, 4)),
]


def _randomised(layer: AOLConv2d, scale: float = 1.0) -> AOLConv2d:
    with torch.no_grad():
        layer.raw_weight.copy_(scale * torch.randn_like(layer.raw_weight))
    return layer


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("sizes", "options", "shape"), CASES, ids=str)
def test_norm_of_random_kernels(sizes, options, shape, mode) -> None:  # type: ignore[no-untyped-def]
    layer = _randomised(AOLConv2d(*sizes, **options, padding_mode=mode))
    norm = float(singular_values(layer, shape)[0])
    bound = layer.lipschitz_bound()
    assert 0.3 < norm <= bound.value <= 1 + 1e-6
    assert bound.proved


@pytest.mark.parametrize(("sizes", "options", "shape"), CASES[:2] + CASES[3:4] + CASES[6:8], ids=str)
def test_transposed_is_the_adjoint(sizes, options, shape) -> None:  # type: ignore[no-untyped-def]
    into, out, *rest = sizes
    layer = AOLConvTranspose2d(out, into, *rest, **options, padding_mode="circular", bias=False)
    forth = _randomised(AOLConv2d(*sizes, **options, padding_mode="circular", bias=False))
    layer.load_state_dict(forth.state_dict())
    small = (out, *(n // options.get("stride", 1) for n in shape[1:]))
    torch.testing.assert_close(dense_matrix(layer, small), dense_matrix(forth, shape).T)


@settings(max_examples=25)
@given(scale=st.floats(-9, 9), seed=st.integers(0, 1000))
def test_scale_of_the_raw_weight_does_not_matter(scale: float, seed: int) -> None:
    kernel = torch.randn(3, 4, 3, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(aol(10.0**scale * kernel), aol(kernel))


def test_orthogonal_kernels_are_left_alone() -> None:
    for options in ({}, {"stride": 2}):
        kernel = AOCConv2d(3, 6, 3, **options, dtype=torch.float64).weight.detach()
        stride = (options.get("stride", 1),) * 2
        torch.testing.assert_close(aol(kernel, stride), kernel, atol=1e-12, rtol=0)


def test_bias_starts_at_zero() -> None:
    for layer in (AOLConv2d(3, 6, 3), AOLConvTranspose2d(6, 3, 3), AOLLinear(5, 3)):
        assert not bool(layer.bias.any())  # type: ignore[union-attr]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [AOLConv2d, AOLConvTranspose2d])
def test_square_convolution_starts_as_the_identity(kind: Any, groups: int) -> None:
    x = torch.randn(2, 6, 5, 5)
    for options in ({"padding": 1}, {"padding": 1, "padding_mode": "circular"}, {"padding": 2, "dilation": 2}):
        assert torch.equal(kind(6, 6, 3, groups=groups, **options)(x), x)


def test_other_convolutions_start_at_random() -> None:
    for sizes in ((4, 4, 1), (4, 6, 3), (3, 12, 3, 2)):
        first, second = (AOLConv2d(*sizes).raw_weight for _ in range(2))
        assert not torch.equal(first, second)


def test_start_is_orthogonal() -> None:
    assert singular_values(AOLConv2d(3, 6, 3, padding=1, padding_mode="circular"), (3, 5, 5))[-1] > 0.9999
    assert singular_values(AOLConv2d(3, 16, 3, 2, 1, padding_mode="circular"), (3, 6, 6))[-1] > 0.9999
    assert singular_values(AOLLinear(5, 3), (5,))[-1] > 0.9999


@pytest.mark.parametrize(("sizes", "options", "shape"), CASES, ids=str)
def test_its_own_weights_come_back(sizes, options, shape) -> None:  # type: ignore[no-untyped-def]
    target = _randomised(AOLConv2d(*sizes, **options, dtype=torch.float64)).weight.detach()
    layer = AOLConv2d(*sizes, **options, dtype=torch.float64)
    layer.weight = target
    torch.testing.assert_close(layer.weight.detach(), target, atol=1e-8, rtol=0)


def test_other_weights_come_back_up_to_a_factor() -> None:
    target = torch.randn(4, 4, 3, 3, dtype=torch.float64)
    layer = AOLConv2d(4, 4, 3, dtype=torch.float64)
    layer.weight = target
    ratio = layer.weight.detach() / target
    torch.testing.assert_close(ratio, ratio[0, 0, 0, 0].expand_as(ratio), atol=1e-8, rtol=0)
    # It is the largest factor that the weighted row sums prove, which is more than plain row sums do.
    assert ratio[0, 0, 0, 0] > (aol(target) / target).min()


def test_zero_channels_and_zero_kernels() -> None:
    kernel = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    kernel[:, 1] = 0
    assert not aol(kernel)[:, 1].any()
    assert aol(kernel).isfinite().all()
    zero = torch.zeros(4, 3, 3, 3, requires_grad=True)
    aol(zero).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
    assert not aol_right_inverse(zero.detach().double()).any()


def test_gradient_is_that_of_the_formula() -> None:
    for options in ({}, {"stride": (2, 2)}, {"groups": 2}):
        kernel = torch.randn(4, 2, 3, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda k, o=options: aol(k, **o), (kernel,))


def test_dense_layer_is_a_single_tap() -> None:
    layer, conv = AOLLinear(5, 3), AOLConv2d(5, 3, 1)
    raw = torch.randn(3, 5)
    with torch.no_grad():
        layer.raw_weight.copy_(raw)
        conv.raw_weight.copy_(raw[:, :, None, None])
    torch.testing.assert_close(layer.weight, conv.weight[:, :, 0, 0])
    # W W^T has 3 rows, the fewer.
    expected = raw / (raw @ raw.T).abs().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(layer.weight, expected)
    layer.weight = layer.weight.detach()
    torch.testing.assert_close(layer.weight, expected, atol=1e-6, rtol=0)
