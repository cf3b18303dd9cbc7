from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from onelip.layers.circular import CircularConv2d, CircularConvTranspose2d, conv_transpose2d_circular
from onelip.layers.conv_arguments import conv_arguments

ROUNDING = 1e-12
"""Inner products of a few hundred float64 terms of size 1."""


@st.composite
def _convolutions(draw: st.DrawFn):  # type: ignore[no-untyped-def]
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding = tuple(draw(st.integers(0, dilation * (k - 1) // 2)) for k in kernel)
    groups = draw(st.integers(1, 2))
    channels = (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)))
    least = [-(-(dilation * (k - 1) + 1) // stride) for k in kernel]
    image = tuple(stride * draw(st.integers(low, low + 2)) for low in least)
    return channels, kernel, stride, padding, dilation, groups, image


@settings(max_examples=40)
@given(_convolutions())
def test_it_is_the_adjoint_of_torchs_circular_convolution(convolution) -> None:  # type: ignore[no-untyped-def]
    (rows, columns), kernel, stride, padding, dilation, groups, image = convolution
    arguments = conv_arguments("Test", rows, columns, kernel, stride, padding, dilation, groups, "circular")
    weight = torch.randn(rows, columns // groups, *kernel, dtype=torch.float64)
    x = torch.randn(2, columns, *image, dtype=torch.float64)
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), mode="circular")
    forward = F.conv2d(padded, weight, None, stride, 0, dilation, groups)
    y = torch.randn_like(forward)
    # Otherwise some pixels of the image are seen by no stride, and torch gives another size.
    assume([stride * n for n in y.shape[-2:]] == list(image))
    backward = conv_transpose2d_circular(y, weight, None, arguments)
    assert backward.shape == x.shape
    assert float((forward * y).sum()) == pytest.approx(float((x * backward).sum()), rel=ROUNDING, abs=ROUNDING)


def test_kernel_wider_than_the_image_wraps_around_more_than_once() -> None:
    # The convolution reads pixel t - padding of a row that repeats without end.
    padding = 3
    arguments = conv_arguments("Test", 1, 1, (1, 8), 1, (0, padding), padding_mode="circular")
    weight, x = torch.randn(1, 1, 1, 8, dtype=torch.float64), torch.randn(1, 1, 1, 3, dtype=torch.float64)
    endless = x[..., torch.arange(-padding, 10 - padding) % 3]
    forward = F.conv2d(endless, weight)
    y = torch.randn_like(forward)
    backward = conv_transpose2d_circular(y, weight, None, arguments)
    assert float((forward * y).sum()) == pytest.approx(float((x * backward).sum()), rel=ROUNDING, abs=ROUNDING)


def test_bias_is_added_once_for_each_pixel() -> None:
    arguments = conv_arguments("Test", 2, 3, 3, 1, 1, padding_mode="circular")
    x, weight, bias = torch.randn(1, 2, 4, 5), torch.randn(2, 3, 3, 3), torch.randn(3)
    with_bias = conv_transpose2d_circular(x, weight, bias, arguments)
    assert torch.equal(with_bias, conv_transpose2d_circular(x, weight, None, arguments) + bias[:, None, None])


def test_image_smaller_than_the_padding_is_refused() -> None:
    arguments = conv_arguments("Test", 1, 1, 5, 1, 2, padding_mode="circular")
    with pytest.raises(ValueError, match=r"image height 1 .*Test"):
        conv_transpose2d_circular(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 5, 5), None, arguments)


def test_module_owns_its_weights_and_proves_their_norm() -> None:
    arguments = conv_arguments("Test", 2, 2, 3, 1, 1, padding_mode="circular")
    weight = torch.zeros(2, 2, 3, 3)
    weight[0, 0, 1, 1], weight[1, 1, 0, 2] = 0.5, 2.0
    layer = CircularConvTranspose2d(weight, None, arguments)
    weight.zero_()
    assert 2.0 <= layer.lipschitz_bound().value <= 2.0 * (1 + 1e-6)
    assert layer.lipschitz_bound().proved
    assert "padding=(1, 1)" in repr(layer)
    assert torch.equal(layer.to_plain()(torch.ones(1, 2, 3, 3)), layer(torch.ones(1, 2, 3, 3)))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 2), (9, 9)])
def test_convolution_that_goes_round_more_than_once(size: tuple[int, int]) -> None:
    arguments = replace(conv_arguments("Test", 2, 3, 5, 1, "same", 2, 1, "circular"), wraps=True)
    weight, bias = torch.randn(3, 2, 5, 5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    tiled = torch.nn.functional.conv2d(x.repeat(1, 1, 19, 19), weight, bias, dilation=2)
    # Pixel (0, 0) of the result is that of a copy far from the border.
    start = [(9 * n - 4) for n in size]
    expected = tiled[:, :, start[0] : start[0] + size[0], start[1] : start[1] + size[1]]
    torch.testing.assert_close(CircularConv2d(weight, bias, arguments)(x), expected)
