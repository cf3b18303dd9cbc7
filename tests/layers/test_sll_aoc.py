"""SLL x AOC: its formula, the opened-up form of the paper, its size, and its norm on every shape."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.measure import gains
from tests.layers.dense import train
from torch import Tensor, nn

from onelip.layers import SLLxAOCConv2d, SLLxAOCLinear, retract_
from onelip.layers.conv_arguments import conv_arguments
from onelip.layers.sll_aoc import bound_of_parts, output_frame
from onelip.linalg import Bound, compose, transpose


def test_opened_up_form_away_from_the_border() -> None:
    # y = (P Q) x - (P W^T) 2 relu((W Q) x + b) with composed kernels, on an unpadded image.
    layer = SLLxAOCConv2d(4, 6, 3, 2, 1, dtype=torch.float64).eval()
    with torch.no_grad():
        layer.residual.bias.normal_()
    p, w, q = (part.weight.detach() for part in (layer.post, layer.residual, layer.pre))
    assert [tuple(k.shape[2:]) for k in (p, w, q)] == [(2, 2), (2, 2), (2, 2)]
    assert tuple(compose(w, q).shape[2:]) == (3, 3)
    x = torch.randn(2, 4, 12, 12, dtype=torch.float64)
    hidden = F.conv2d(x, compose(w, q), layer.residual.bias).relu()
    # Both branches start at the same pixel of the image: W^T takes one pixel before it.
    skip = F.conv2d(x[..., 1:, 1:], compose(p, q), stride=2)
    step = F.conv2d(hidden, compose(p, transpose(w)), stride=2)
    opened = skip[..., :4, :4] - 2 * step
    assert torch.allclose(layer(F.pad(x, (1, 0, 1, 0)))[..., 1:5, 1:5], opened, rtol=0, atol=1e-12)


def test_formula_of_the_dense_form() -> None:
    layer = SLLxAOCLinear(5, 9, inner_features=3, dtype=torch.float64)
    with torch.no_grad():
        layer.residual.bias.normal_()
    p, w, q = (part.weight.detach() for part in (layer.post, layer.residual, layer.pre))
    x = torch.randn(4, 5, dtype=torch.float64)
    z = x @ q.T
    expected = (z - 2 * torch.relu(z @ w.T + layer.residual.bias.detach()) @ w) @ p.T
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-13)


CHANNELS = ((1, 1), (1, 4), (4, 1), (2, 8), (8, 2), (3, 16), (4, 4))


def _refused(layer: nn.Module, x: Tensor) -> bool:
    try:
        layer(x)
    except ValueError as error:
        return bool(re.search(r"image (height|width) \d+ is .* SLLxAOCConv2d", str(error)))
    return False


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(CHANNELS),
    st.sampled_from([1, 2, 3, 4, 5, (2, 5)]),
    st.sampled_from([1, 2, 4, (1, 2)]),
    st.sampled_from([1, 2]),
    st.sampled_from(["zeros", "circular"]),
    st.sampled_from([(8, 8), (5, 7)]),
)
def test_shape_and_norm_on_a_grid(
    channels: tuple[int, int], kernel: Any, stride: Any, dilation: int, mode: str, image: tuple[int, int]
) -> None:
    extents = [dilation * (k - 1) for k in (kernel if isinstance(kernel, tuple) else (kernel, kernel))]
    padding = (extents[0] // 2, extents[1] // 2)
    groups = 2 if channels == (2, 8) else 1
    options: dict[str, Any] = {"groups": groups, "padding_mode": mode, "dtype": torch.float64}
    layer = SLLxAOCConv2d(*channels, kernel, stride, padding, dilation, **options)
    namesake = nn.Conv2d(*channels, kernel, stride, padding, dilation, **options)
    x = torch.randn(2, channels[0], *image, dtype=torch.float64)
    if mode == "circular" and _refused(layer, x):
        return
    y = layer(x)
    assert y.shape == namesake(x).shape
    train(layer, x, 1, 0.3)
    found = gains(layer.eval(), (channels[0], *image), torch.float64).largest
    assert found <= 1 + 1e-10
    assert found <= layer.lipschitz_bound().value * (1 + 1e-12)


def test_frame_gives_the_size_of_torch() -> None:
    for k, s, p, d, n in itertools.product(range(1, 6), (1, 2, 3, 4), range(5), (1, 2), (7, 8)):
        if n + 2 * p < d * (k - 1) + 1:
            continue
        left, right, top, bottom = output_frame(conv_arguments("Layer", 1, 1, k, s, p, d))
        assert (left, right) == (top, bottom)
        expected = F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), None, s, p, d).shape[-1]
        assert (n + left + right - s) // s + 1 == expected
        if 2 * p == d * (k - 1):
            assert left == 0, "padding by the reach of the kernel leaves the windows where they partition the image"


def test_skip_connection_is_orthogonal_where_the_stride_divides_the_image() -> None:
    layer = SLLxAOCConv2d(3, 12, 3, 2, 1, padding_mode="circular", dtype=torch.float64)
    with torch.no_grad():
        layer.residual.raw_weight.zero_()
    measured = gains(layer.eval(), (3, 6, 4), torch.float64)
    assert measured.largest <= 1 + 1e-10
    assert measured.smallest >= 1 - 1e-6


@pytest.mark.parametrize("kind", [SLLxAOCConv2d, SLLxAOCLinear])
def test_options_are_checked_under_this_name(kind: Any) -> None:
    convolution = kind is SLLxAOCConv2d
    sizes, inner = ((4, 4, 3), "inner_channels") if convolution else ((4, 4), "inner_features")
    with pytest.raises(ValueError, match=rf"{inner}=0 in SLLxAOC\w+ must be an integer of at least 1"):
        kind(*sizes, **{inner: 0})
    with pytest.raises(ValueError, match=r"orthogonaliser='bjork' in SLLxAOC\w+ is not a projection"):
        kind(*sizes, orthogonaliser="bjork")
    if convolution:
        with pytest.raises(ValueError, match="groups=2 does not divide inner_channels=3 in SLLxAOCConv2d"):
            kind(*sizes, groups=2, inner_channels=3)


def test_small_circular_images_are_refused_under_this_name() -> None:
    layer = SLLxAOCConv2d(2, 2, 9, padding=3, padding_mode="circular")
    with pytest.raises(ValueError, match="image height 3 is smaller than the circular padding 4 of SLLxAOCConv2d"):
        layer(torch.zeros(1, 2, 3, 5))


def test_bound_of_parts_is_the_product_rounded_up() -> None:
    parts = (Bound(1.1, True, "a"), Bound(1.1, True, "b"))
    bound = bound_of_parts(*parts)
    assert 1.21 <= bound.value <= 1.21 * (1 + 1e-15)
    assert bound.proved
    assert not bound_of_parts(*parts, Bound(1.0, False, "c")).proved


def test_retraction_reaches_the_parts() -> None:
    layer = SLLxAOCConv2d(4, 4, 3, padding=1, dtype=torch.float64)
    with torch.no_grad():
        layer.pre.raw_weight.mul_(3)
    # The verb on a model visits every module.
    retract_(layer)
    raw = layer.pre.raw_weight.detach()[0]
    assert torch.allclose(raw @ raw.T, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-4)
