"""Circular convolutions of any reach, and the exact adjoint of a circular convolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import ConvArguments
from onelip.linalg import Bound, conv_norm_bound


def _wrap(full: Tensor, axis: int, before: int, size: int) -> Tensor:
    # The line is cut at multiples of `size` from pixel `before` on, and the pieces are added.
    front = -before % size
    back = -(front + full.shape[axis]) % size
    padded = F.pad(full, (front, back) if axis == -1 else (0, 0, front, back))
    return padded.unflatten(axis, (-1, size)).sum(axis - 1)


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
    wrapped = _wrap(_wrap(full, -2, top, height), -1, left, width)
    return wrapped if bias is None else wrapped + bias[:, None, None]


class CircularConv2d(ConstrainedModule):
    """Convolution with circular padding that may go round the image more than once, where `nn.Conv2d` gives up.

    Args:
        weight: `(out, in/groups, kh, kw)`; copied.
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
        a = self.arguments
        return F.conv2d(a.pad(x), self.weight, self.bias, a.stride, 0, a.dilation, a.groups)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return _norm_bound(self.weight, self.arguments)

    @override
    def to_plain(self) -> nn.Module:
        return CircularConv2d(self.weight, self.bias, self.arguments)

    @override
    def extra_repr(self) -> str:
        return _shown(self.arguments, self.bias is not None)


def _norm_bound(weight: Tensor, a: ConvArguments) -> Bound:
    return conv_norm_bound(weight.detach(), stride=a.stride, dilation=a.dilation, groups=a.groups)


def _shown(a: ConvArguments, bias: bool) -> str:
    return (
        f"{a.in_channels}, {a.out_channels}, kernel_size={a.kernel_size}, stride={a.stride}, "
        f"padding={a.padding!r}, dilation={a.dilation}, groups={a.groups}, bias={bias}"
    )


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
        return _norm_bound(self.weight, self.arguments)

    @override
    def to_plain(self) -> nn.Module:
        return CircularConvTranspose2d(self.weight, self.bias, self.arguments)

    @override
    def extra_repr(self) -> str:
        return _shown(self.arguments, self.bias is not None)
