"""ECO: explicitly constructed orthogonal convolutions, an exponential for each frequency of a k x k grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import ConvArguments, conv_arguments
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


def _checked(owner: str, a: ConvArguments) -> ConvArguments:
    left, right, top, bottom = a.pads
    for total, extent, step in zip((top + bottom, left + right), a.extent, a.stride, strict=True):
        if not extent - step <= total <= extent - 1:
            raise ValueError(
                f"padding={a.padding!r} in {owner} with stride={a.stride} must keep {a.stride} times as many pixels as "
                f"it returns, as an orthogonal circular map does; use dilation * (kernel_size - 1) // 2"
            )
    return a


@register(
    kind="conv2d",
    name="eco",
    orthogonal=True,
    paddings=("circular",),
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
    weight. `dilation` multiplies the distance of the taps.

    Shape: `(N, in, H, W)` to `(N, out, H/s_h, W/s_w)`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width): matrices along each axis.
        stride: An int or a pair.
        padding: "same", or numbers for which torch's layer returns 1/stride of the pixels.
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed; in `forward`, if the stride does not divide the image.

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
            paddings=("circular",),
        )
        self.arguments = _checked(owner, a)
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
        if self.stride != (1, 1):
            self._check_image(x.shape[-2], x.shape[-1])
            x = self.downsampling(x)
        return periodic_conv2d(x, self.weight, self.bias, self.dilation, self.groups)

    def _check_image(self, height: int, width: int) -> None:
        for name, size, step in zip(("height", "width"), (height, width), self.stride, strict=True):
            if size % step:
                raise ValueError(
                    f"image {name} {size} is not a multiple of stride {step} in ECOConv2d; use such an image"
                )

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return grid_bound(self.eval_weight(), self.groups)

    @override
    def to_plain(self) -> nn.Module:
        plain = PeriodicSpectrumConv2d(self.eval_weight(), self.bias, self.dilation, self.groups)
        if self.stride == (1, 1):
            return plain
        return nn.Sequential(InvertibleDownsampling2d(self.stride), plain).eval()

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
