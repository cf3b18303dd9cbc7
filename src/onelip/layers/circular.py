"""The exact adjoint of a circular convolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import ConvArguments
from onelip.linalg import Bound, conv_norm_bound


def _wrap(full: Tensor, axis: int, before: int, size: int) -> Tensor:
    # What lies outside the `size` pixels from pixel `before` on is added to the pixel it falls on modulo `size`.
    length = full.shape[axis]
    body = full.narrow(axis, before, min(size, length - before))
    if body.shape[axis] < size:
        body = torch.cat([body, body.new_zeros(_resized(body, axis, size - body.shape[axis]))], axis)
    if before:
        body = _add_at(body, full.narrow(axis, 0, before), axis, size - before)
    # A kernel wider than the image wraps around more than once.
    for start in range(before + size, length, size):
        body = _add_at(body, full.narrow(axis, start, min(size, length - start)), axis, 0)
    return body


def _add_at(body: Tensor, part: Tensor, axis: int, start: int) -> Tensor:
    end = body.shape[axis] - start - part.shape[axis]
    zeros_before = body.new_zeros(_resized(body, axis, start))
    zeros_after = body.new_zeros(_resized(body, axis, end))
    return body + torch.cat([zeros_before, part, zeros_after], axis)


def _resized(tensor: Tensor, axis: int, size: int) -> list[int]:
    shape = list(tensor.shape)
    shape[axis] = size
    return shape


def conv_transpose2d_circular(x: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments) -> Tensor:
    """Apply the adjoint of a circular convolution.

    If C maps images of size (s h, s w) to images of size (h, w) by padding circularly and convolving with `weight`
    at stride s, this is C^T, from size (h, w) to size (s h, s w).

    Args:
        x: `(..., in, h, w)` images.
        weight: `(in, out/groups, kh, kw)`.
        bias: `(out,)` or None.
        arguments: Stride, padding, dilation and groups.

    Returns:
        `(..., out, s h, s w)` images.

    Raises:
        ValueError: If the output image is smaller than the circular padding.
    """
    height, width = x.shape[-2] * arguments.stride[0], x.shape[-1] * arguments.stride[1]
    arguments.check_image(height, width)
    full = F.conv_transpose2d(x, weight, None, arguments.stride, 0, 0, arguments.groups, arguments.dilation)
    left, _, top, _ = arguments.pads
    wrapped = _wrap(_wrap(full, full.dim() - 2, top, height), full.dim() - 1, left, width)
    return wrapped if bias is None else wrapped + bias[:, None, None]


class CircularConvTranspose2d(ConstrainedModule):
    """Transposed convolution with circular padding: the adjoint of a circular `nn.Conv2d`.

    Args:
        weight: `(in, out/groups, kh, kw)`; copied.
        bias: `(out,)` or None; copied.
        arguments: Stride, padding, dilation and groups.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, arguments: ConvArguments) -> None:
        super().__init__()
        self.arguments = arguments
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None else None
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d_circular(x, self.weight, self.bias, self.arguments)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        a = self.arguments
        return conv_norm_bound(self.weight.detach(), stride=a.stride, dilation=a.dilation, groups=a.groups)

    @override
    def to_plain(self) -> nn.Module:
        return CircularConvTranspose2d(self.weight, self.bias, self.arguments)

    @override
    def extra_repr(self) -> str:
        a = self.arguments
        return (
            f"{a.in_channels}, {a.out_channels}, kernel_size={a.kernel_size}, stride={a.stride}, "
            f"padding={a.padding!r}, dilation={a.dilation}, groups={a.groups}, bias={self.bias is not None}"
        )
