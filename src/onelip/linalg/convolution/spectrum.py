"""Singular values of circular convolutions on one image size, by FFT and SVD: for plots and tests, not proved."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg.convolution.kernels import polyphase


def conv_singular_values(
    kernel: Tensor,
    image_size: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Return all singular values of a circular convolution, in float64.

    The kernel is wrapped around the image where it is larger. A strided convolution acts on the space-to-depth image
    with stride 1, and a stride-1 circular convolution is one matrix per frequency (Sedghi, Gupta and Long 2019).

    Args:
        kernel: (out, in/groups, kh, kw), real.
        image_size: Height and width of the input, multiples of the stride.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        The min(outputs, inputs) singular values of each group, of all groups together, in descending order.

    Raises:
        ValueError: If the stride does not divide the image.

    Cost: n^2 / 2 SVDs of (out/groups, in/groups s^2) matrices on an output of n^2 pixels.
    Paper: Sedghi, Gupta and Long 2019, arXiv:1805.10408.
    """
    spectrum = conv_spectrum(kernel.detach().double(), image_size, stride=stride, dilation=dilation, groups=groups)
    values = torch.linalg.svdvals(spectrum)
    n_w = image_size[1] // stride[1]
    # Columns 1 ... (n_w - 1) / 2 of the half spectrum stand for their mirror images as well.
    mirrored = values[:, 1 : (n_w + 1) // 2]
    return torch.cat([values.flatten(), mirrored.flatten()]).sort(descending=True).values


def conv_spectrum(
    kernel: Tensor,
    image_size: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Return the matrices of a circular convolution at half of the frequencies of an image; no gradient is cut.

    Args:
        kernel: (out, in/groups, kh, kw), real; wrapped around the image where it is larger.
        image_size: Height and width of the input, multiples of the stride.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        (n_h, n_w/2 + 1, groups, out/groups, in s_h s_w/groups), complex, n = image_size / stride; the other half are
        the conjugates.

    Raises:
        ValueError: If the stride does not divide the image.
    """
    if image_size[0] % stride[0] or image_size[1] % stride[1]:
        raise ValueError(f"image_size={image_size} is not a multiple of stride={stride}; circular strides need that")
    phases = polyphase(kernel, stride, dilation)
    wrapped = _wrap(_wrap(phases, image_size[0] // stride[0], -2), image_size[1] // stride[1], -1)
    return torch.fft.rfft2(wrapped).permute(2, 3, 0, 1).unflatten(2, (groups, -1))


def _wrap(x: Tensor, size: int, dim: int) -> Tensor:
    x = x.movedim(dim, 0)
    wrapped = x.new_zeros(size, *x.shape[1:])
    wrapped.index_add_(0, torch.arange(len(x), device=x.device) % size, x)
    return wrapped.movedim(0, dim)
