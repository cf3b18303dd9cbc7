"""Kernel algebra against torch's own convolutions and dense operators."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.linalg.matrices import dense_convolution

from onelip.linalg import autocorrelation, compose, dilate, polyphase, transpose

DOUBLE = torch.float64


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2)])
def test_compose_is_one_convolution_after_the_other(stride: tuple[int, int], groups: int) -> None:
    k1 = torch.randn(6, 4 // groups, 3, 2, dtype=DOUBLE)
    k2 = torch.randn(8, 6 // groups, 2, 4, dtype=DOUBLE)
    x = torch.randn(2, 4, 11, 12, dtype=DOUBLE)
    expected = F.conv2d(F.conv2d(x, k1, groups=groups), k2, stride=stride, groups=groups)
    composed = compose(k2, k1, groups)
    assert composed.shape == (8, 4 // groups, 4, 5)
    torch.testing.assert_close(F.conv2d(x, composed, stride=stride, groups=groups), expected)


def test_compose_refuses_channels_that_do_not_match() -> None:
    with pytest.raises(ValueError, match=r"k1 of shape \(3, 2, 1, 1\) has 3 outputs"):
        compose(torch.ones(2, 4, 1, 1), torch.ones(3, 2, 1, 1))
    with pytest.raises(ValueError, match="groups=2 is not a convolution"):
        compose(torch.ones(3, 2, 1, 1), torch.ones(4, 2, 1, 1), groups=2)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_transpose_is_the_adjoint(groups: int) -> None:
    kernel = torch.randn(8, 4 // groups, 3, 5, dtype=DOUBLE)
    x, y = torch.randn(1, 4, 9, 10, dtype=DOUBLE), torch.randn(1, 8, 7, 6, dtype=DOUBLE)
    forward = F.conv2d(x, kernel, groups=groups)
    adjoint = F.conv2d(y, transpose(kernel, groups), padding=(2, 4), groups=groups)
    torch.testing.assert_close((forward * y).sum(), (x * adjoint).sum())
    assert torch.equal(transpose(transpose(kernel, groups), groups), kernel)


@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 3), (4, 1)])
def test_polyphase_acts_on_the_space_to_depth_image(stride: tuple[int, int], dilation: tuple[int, int]) -> None:
    sh, sw = stride
    kernel = torch.randn(6, 2, 3, 4, dtype=DOUBLE)
    x = torch.randn(1, 4, 5 * 4, 5 * 6, dtype=DOUBLE)
    blocks = x.reshape(1, 4, 20 // sh, sh, 30 // sw, sw).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    expected = F.conv2d(x, kernel, stride=stride, dilation=dilation, groups=2)
    result = F.conv2d(blocks, polyphase(kernel, stride, dilation), groups=2)
    torch.testing.assert_close(result[:, :, : expected.shape[2], : expected.shape[3]], expected)
    if sh == sw:
        assert torch.equal(blocks, F.pixel_unshuffle(x, sh))


def test_dilate_writes_the_zeros_out() -> None:
    kernel, x = torch.randn(3, 2, 2, 3, dtype=DOUBLE), torch.randn(1, 2, 9, 9, dtype=DOUBLE)
    torch.testing.assert_close(F.conv2d(x, dilate(kernel, (3, 2))), F.conv2d(x, kernel, dilation=(3, 2)))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1), (2, 4), (6, 6)])
def test_out_side_is_the_kernel_of_the_operator_times_its_adjoint(
    stride: tuple[int, int], dilation: tuple[int, int], groups: int
) -> None:
    # On a circular image large enough that nothing wraps onto itself, K K^T is circular convolution with A.
    kernel = torch.randn(4, 4 // groups, 3, 2, dtype=DOUBLE)
    size = (12, 24)
    k = _circular(kernel, size, stride=stride, dilation=dilation, groups=groups)
    taps = autocorrelation(kernel, stride=stride, dilation=dilation, groups=groups, side="out")
    spacing = (dilation[0] // gcd(stride[0], dilation[0]), dilation[1] // gcd(stride[1], dilation[1]))
    out_size = (size[0] // stride[0], size[1] // stride[1])
    expected = _centred(taps, out_size, spacing, groups)
    np.testing.assert_allclose(k @ k.T, expected, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_in_side_is_the_kernel_of_the_adjoint_times_the_operator(dilation: tuple[int, int], groups: int) -> None:
    kernel = torch.randn(6, 4 // groups, 3, 2, dtype=DOUBLE)
    size = (12, 14)
    k = _circular(kernel, size, stride=(1, 1), dilation=dilation, groups=groups)
    taps = autocorrelation(kernel, dilation=dilation, groups=groups, side="in")
    np.testing.assert_allclose(k.T @ k, _centred(taps, size, dilation, groups), atol=1e-12)


def test_in_side_with_a_stride_is_that_of_the_polyphase_kernel() -> None:
    kernel = torch.randn(6, 2, 3, 4, dtype=DOUBLE)
    phases = polyphase(kernel, (2, 3))
    torch.testing.assert_close(autocorrelation(kernel, stride=(2, 3)), autocorrelation(phases))


def test_autocorrelation_of_an_isometry_is_the_identity() -> None:
    kernel = torch.linalg.qr(torch.randn(16, 12, dtype=DOUBLE))[0].reshape(16, 3, 2, 2)
    taps = autocorrelation(kernel, stride=(2, 2))
    torch.testing.assert_close(taps[:, :, 0, 0], torch.eye(12, dtype=DOUBLE))
    assert taps.shape == (12, 12, 1, 1)


def test_autocorrelation_refuses_another_side() -> None:
    with pytest.raises(ValueError, match="side='left' is not a side"):
        autocorrelation(torch.ones(1, 1, 1, 1), side="left")


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 3)])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("side", ["in", "out"])
def test_autocorrelation_is_the_same_with_and_without_gradient(side: str, groups: int, stride: tuple[int, int]) -> None:
    kernel = torch.randn(6, 2, 4, 3, dtype=DOUBLE, requires_grad=True)
    taps = autocorrelation(kernel, stride=stride, groups=groups, side=side)
    assert taps.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(taps, autocorrelation(kernel, stride=stride, groups=groups, side=side))


@pytest.mark.parametrize("side", ["in", "out"])
def test_kernel_algebra_is_differentiable(side: str) -> None:
    kernel = torch.randn(2, 2, 2, 3, dtype=DOUBLE, requires_grad=True)
    other = torch.randn(3, 2, 2, 2, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k: autocorrelation(k, side=side), kernel)
    assert torch.autograd.gradcheck(lambda k: autocorrelation(k, stride=(2, 2), side=side), kernel)
    assert torch.autograd.gradcheck(compose, (other, kernel))
    assert torch.autograd.gradcheck(lambda k: polyphase(k, (2, 1), (1, 2)), kernel)


def _circular(
    kernel: torch.Tensor, size: tuple[int, int], *, stride: tuple[int, int], dilation: tuple[int, int], groups: int
) -> np.ndarray:
    # All padding before the image, so that the output has size / stride pixels exactly.
    height, width = (d * (k - 1) for d, k in zip(dilation, kernel.shape[2:], strict=True))
    channels = kernel.shape[1] * groups
    basis = torch.eye(channels * size[0] * size[1], dtype=DOUBLE).reshape(-1, channels, *size)
    padded = F.pad(basis, (width, 0, height, 0), mode="circular")
    out = F.conv2d(padded, kernel, stride=stride, dilation=dilation, groups=groups)
    return out.flatten(1).T.numpy()


def _centred(taps: torch.Tensor, size: tuple[int, int], spacing: tuple[int, int], groups: int) -> np.ndarray:
    padding = (spacing[0] * (taps.shape[2] // 2), spacing[1] * (taps.shape[3] // 2))
    options = {"padding_mode": "circular", "dilation": spacing, "groups": groups}
    return dense_convolution(taps, size, padding=padding, **options)
