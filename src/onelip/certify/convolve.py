"""Convolutions in float64 at the speed of matrix products.

Torch has no fast float64 convolution on a CPU: it copies the windows of the whole batch into a matrix and multiplies,
which is five times slower than the product once that matrix has left the cache. So a batch is convolved in parts whose
windows fit; and of small images all pixels of a batch together, as then those of one make too narrow a product.
Whatever the order of summation, every output is a sum of the same products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_CACHED = 2**18
"""Entries of windows copied at once, 2 MB."""

_NARROW = 64
"""Pixels up to which an image makes a narrow product."""


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Convolve a batch of padded images, as `torch.nn.functional.conv2d`.

    Args:
        x: `(N, in, H, W)` float64.
        weight: `(out, in/groups, kh, kw)` float64.
        bias: `(out,)` or None.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        `(N, out, H', W')`.
    """
    pixels = x.shape[-2] * x.shape[-1] // (stride[0] * stride[1])
    if x.device.type != "cpu" or len(x) == 0:
        return F.conv2d(x, weight, bias, stride, 0, dilation, groups)
    if pixels <= _NARROW and groups == 1:
        inner = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(inner, weight, bias, stride, 0, dilation).contiguous()
    # One image at a time for each thread, at least: torch gives them whole ones.
    images = max(1, _CACHED // (weight[0].numel() * groups * pixels)) * torch.get_num_threads()
    return torch.cat([F.conv2d(part, weight, bias, stride, 0, dilation, groups) for part in x.split(images)])


def adjoint_weight(weight: Tensor, groups: int = 1) -> Tensor:
    """Flip and transpose a kernel: the convolution with it is the adjoint of that with the kernel, at stride 1.

    Where the kernel meets p pixels before an image and q after it, its adjoint meets q before and p after.

    Args:
        weight: `(out, in/groups, kh, kw)`.
        groups: Number of groups.

    Returns:
        `(in, out/groups, kh, kw)`.
    """
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(-2, -1).contiguous()
