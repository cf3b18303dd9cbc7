"""ECO: explicitly constructed orthogonal convolutions, an exponential for each frequency of a k x k grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import ConvArguments, Pair, conv_arguments
from onelip.layers.explicit import with_weights
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.invertible_sampling import InvertibleDownsampling2d
from onelip.layers.periodic_spectrum import (
    PeriodicSpectrumConv2d,
    grid_bound,
    grid_kernel,
    grid_spectrum,
    periodic_conv2d,
)
from onelip.layers.registry import register
from onelip.linalg import Bound, exponential
from onelip.linalg.rotations import completed_rotation, rotation_log

Sides = tuple[int, int, int, int]

_ANGLE = 0.7
"""Eigenvalues turn by about this angle at the start, the largest one of the authors' code."""


def eco_kernel(raw: Tensor, groups: int, rows: int, columns: int) -> Tensor:
    """Build a kernel whose matrices on the k x k grid of frequencies are semi-unitary.

    Q(w) = exp((V(w) - V(w)^H) / 2), V the spectrum of the free kernel, cut to its first rows and columns.

    Args:
        raw: (groups c, c, kh, kw), real.
        groups: Number of groups.
        rows: Output channels of a group, at most c.
        columns: Input channels of a group, at most c.

    Returns:
        (groups rows, columns, kh, kw).
    """
    unitary = exponential(grid_spectrum(raw, groups)).matrix
    return grid_kernel(unitary[..., :rows, :columns])


def eco_right_inverse(kernel: Tensor, groups: int) -> Tensor:
    """Find a free kernel whose `eco_kernel` is the nearest to a given one.

    Args:
        kernel: (groups rows, columns, kh, kw), float64.
        groups: Number of groups.

    Returns:
        (groups c, c, kh, kw), c = max(rows, columns).
    """
    wanted = grid_spectrum(kernel, groups)
    kh, kw = wanted.shape[:2]
    size = max(wanted.shape[-2:])
    logs = wanted.new_zeros(kh, kw, groups, size, size)
    # Opposite frequencies have conjugate logarithms; those that are their own opposites have real ones.
    for i in range(kh):
        for j in range(kw):
            opposite = (-i % kh, -j % kw)
            for g in range(groups if (i, j) <= opposite else 0):
                matrix = wanted[i, j, g].real if (i, j) == opposite else wanted[i, j, g]
                log = rotation_log(completed_rotation(matrix)).to(logs.dtype)
                logs[i, j, g], logs[(*opposite, g)] = log, log.conj()
    return grid_kernel(logs)


@dataclass(frozen=True)
class Circle:
    """The circle that an image is put on, with torch's output size for every padding, image and stride.

    Attributes:
        border: Zeros put around the image (left, right, top, bottom).
        crop: Rows and columns cut off the output (left, right, top, bottom).
        whole: Do whole windows of the stride always cover the circle?
    """

    border: Sides
    crop: Sides
    whole: bool


def circle_of(arguments: ConvArguments) -> Circle:
    """Find the zeros around the image and the cut, which do not depend on the image.

    Along an axis with circular padding the image is the circle; what a padding below the kernel's reach leaves out is
    cut off. Zeros are part of the circle, and more are added so that the windows of the stride that fit in are those
    that are returned, and a number to be cut off.

    Args:
        arguments: Those of the layer.

    Returns:
        Border and crop.
    """
    a = arguments
    left, right, top, bottom = a.pads
    border, crop, whole = [], [], True
    for before, after, extent, step in (
        (left, right, a.extent[1], a.stride[1]),
        (top, bottom, a.extent[0], a.stride[0]),
    ):
        reach = extent - 1
        if a.padding_mode == "circular" and before + after:
            border += [0, 0]
            surplus = -((before + after - reach - 1) // step) - 1
            start = max(0, reach // 2 - before) // step
        else:
            filling = (step - 1 - reach) % step
            border += [before, after + filling]
            surplus = (filling + reach + 1) // step - 1
            start = reach // 2 // step
            whole = whole and step == 1
        crop += [min(start, surplus), surplus - min(start, surplus)]
    return Circle((border[0], border[1], border[2], border[3]), (crop[0], crop[1], crop[2], crop[3]), whole)


def _negative(sides: Sides) -> Sides:
    return -sides[0], -sides[1], -sides[2], -sides[3]


def _blocks(channels: int, stride: Pair, like: Tensor) -> nn.Module:
    # `InvertibleDownsampling2d` that leaves out what is over, as a convolution.
    area = stride[0] * stride[1]
    plain = nn.Conv2d(channels, channels * area, stride, stride, groups=channels, bias=False, device=like.device)
    eye = torch.eye(area, dtype=like.dtype, device=like.device).repeat(channels, 1)
    return with_weights(plain.to(like.dtype), eye.reshape(channels * area, 1, *stride), None)


@register(
    kind="conv2d",
    name="eco",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper="Yu et al. 2022, ICLR, openreview.net/forum?id=Zr5W2LSRhD",
    cost="k_h k_w complex exponentials of size c, in float64",
)
class ECOConv2d(ExplicitWeight):
    """Orthogonal circular convolution: an exponential for each of k_h k_w frequencies, the taps spread over the image.

    Q(w) = exp((V(w) - V(w)^H) / 2) at the frequencies of a k x k grid, V the spectrum of the free kernel; `weight` is
    the k x k kernel with spectrum Q. Applied to an n x n image, k dividing n, with its taps n / k pixels apart, it acts
    on frequency p by Q(p mod k), so that every singular value is 1. Where k does not divide n no such taps exist (the
    published code rounds, and has norms above 1); the layer keeps the rule, p counted from -n/2 to n/2, and computes it
    by Fourier transforms. The published matrices are real and equal at opposite frequencies; these need not be.

    A stride turns windows of pixels into channels first, (out, in s_h s_w / groups, k_h, k_w) is then the shape of the
    weight. `dilation` multiplies the distance of the taps. Zeros are put around the image before it is made a circle.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Every singular value is 1 under circular padding by d (k - 1) in
    all, of images that the stride divides; where a part of the output is left out, or with zeros, the norm is still 1
    at most.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width): matrices along each axis.
        stride: An int or a pair.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed; in `forward`, if an image is too small or circular and not a multiple
            of the stride.

    Cost: the exponentials per weight update; at inference a dilated convolution.
    Paper: Yu, Li, Cai and Li 2022, "Constructing Orthogonal Convolutions in an Explicit Manner", ICLR.
    """

    orthogonal = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        a = conv_arguments(
            owner,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            padding_mode,
        )
        self.arguments = replace(a, wraps=True)
        self._circle = circle_of(a)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = a.kernel_size, a.stride, a.padding
        self.dilation, self.groups, self.padding_mode = a.dilation, groups, padding_mode
        self.downsampling = InvertibleDownsampling2d(a.stride)
        rows, columns = self._weight_shape()[0] // groups, self._weight_shape()[1]
        channels, (kh, kw) = max(rows, columns), a.kernel_size
        self.raw_weight = nn.Parameter(torch.empty(groups * channels, channels, kh, kw, device=device, dtype=dtype))
        nn.init.normal_(self.raw_weight, std=_ANGLE * (2 * channels * kh * kw) ** -0.5)
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self._reset_bias(in_channels // groups * kh * kw)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        out, columns, _, _ = self._weight_shape()
        return eco_kernel(raw[0], self.groups, out // self.groups, columns)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (eco_right_inverse(weight, self.groups),)

    @override
    def forward(self, x: Tensor) -> Tensor:
        (height, width), (sh, sw) = x.shape[-2:], self.stride
        self.arguments.check_image(height, width)
        border, crop = self._circle.border, self._circle.crop
        if any(border):
            x = F.pad(x, border)
        if self.stride != (1, 1):
            x = self.downsampling(x[..., : x.shape[-2] // sh * sh, : x.shape[-1] // sw * sw])
        y = periodic_conv2d(x, self.weight, self.bias, self.dilation, self.groups)
        return F.pad(y, _negative(crop)) if any(crop) else y

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return grid_bound(self.eval_weight(), self.groups)

    @override
    def to_plain(self) -> nn.Module:
        weight, (border, crop) = self.eval_weight(), (self._circle.border, self._circle.crop)
        modules: list[nn.Module] = [nn.ZeroPad2d(border)] if any(border) else []
        if self.stride != (1, 1):
            whole = self._circle.whole
            blocks = InvertibleDownsampling2d(self.stride) if whole else _blocks(self.in_channels, self.stride, weight)
            modules.append(blocks)
        modules.append(PeriodicSpectrumConv2d(weight, self.bias, self.dilation, self.groups))
        modules += [nn.ZeroPad2d(_negative(crop))] if any(crop) else []
        return nn.Sequential(*modules).eval() if len(modules) > 1 else modules[0]

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        a = self.arguments
        return a.out_channels, a.in_channels // a.groups * a.stride[0] * a.stride[1], *a.kernel_size

    @override
    def _arguments_repr(self) -> list[str]:
        shown = [f"{self.in_channels}", f"{self.out_channels}"]
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            shown.append(f"{name}={getattr(self, name)!r}")
        return [*shown, f"bias={self.bias is not None}", f"padding_mode={self.padding_mode!r}"]
