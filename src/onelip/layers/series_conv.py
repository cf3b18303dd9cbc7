"""Layers that apply a power series of a constrained skew-symmetric convolution, to images and to signals."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.channels import ChannelKeep, ChannelPad
from onelip.layers.conv_arguments import ConvArguments, conv_arguments, line_arguments
from onelip.layers.explicit import with_weights
from onelip.layers.explicit_1d import torch_attributes
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.series import SkewSeries2d, apply_series, series_bound
from onelip.linalg import Bound


class SeriesConv(ExplicitWeight):
    """What layers share that apply a series of a constrained skew-symmetric convolution.

    `weight` is the kernel of that convolution. Each group has as many channels as the larger of its inputs and outputs;
    fewer inputs are filled up with zeros, superfluous outputs are dropped.

    Args:
        given: The checked arguments.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If a stride, an even kernel or another padding than "same" is asked for.
    """

    paddings: ClassVar[tuple[str, ...]] = ("zeros", "circular")

    def __init__(self, given: ConvArguments, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        _check_skew(given)
        channels = max(given.in_channels, given.out_channels)
        self.in_channels, self.out_channels = given.in_channels, given.out_channels
        self.kernel_size, self.stride, self.padding = given.kernel_size, given.stride, given.padding
        self.dilation, self.groups, self.padding_mode = given.dilation, given.groups, given.padding_mode
        self.arguments = replace(given, in_channels=channels, out_channels=channels)
        self.bias = nn.Parameter(torch.empty(given.out_channels, device=device, dtype=dtype)) if bias else None
        self._reset_bias(given.in_channels // given.groups * given.kernel_size[0] * given.kernel_size[1])

    @abstractmethod
    def coefficients(self) -> tuple[float, ...]:
        """The coefficients c_0 to c_n of the series, n >= 1."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return series_bound(self._kernel(), self.coefficients(), self.arguments)

    def series(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Apply the layer to images.

        Args:
            x: `(..., in, H, W)`.
            kernel: `(channels, channels/groups, kh, kw)`.

        Returns:
            `(..., out, H, W)`.
        """
        channels = self.arguments.in_channels
        if self.in_channels < channels:
            x = _filled_up(x, channels, self.groups)
        y = apply_series(x, kernel, self.coefficients(), self.arguments)
        if self.out_channels < channels:
            y = _cut(y, self.out_channels, self.groups)
        return y if self.bias is None else y + self.bias[:, None, None]

    def plain_series(self) -> list[nn.Module]:
        """Build the plain modules that do to images what `series` does.

        Returns:
            One to three modules.
        """
        channels, groups = self.arguments.in_channels, self.groups
        kernel, bias = self._kernel(), self.bias
        if bias is not None and self.out_channels < channels:
            parts = bias.detach().unflatten(0, (groups, -1))
            bias = nn.Parameter(F.pad(parts, (0, (channels - self.out_channels) // groups)).flatten())
        series = SkewSeries2d(kernel, bias, self.coefficients(), self.padding_mode, self.arguments.dilation, groups)
        before: list[nn.Module] = []
        after: list[nn.Module] = []
        if self.in_channels < channels:
            before = [
                ChannelPad(channels) if groups == 1 else _identity_taps(self.in_channels, channels, groups, kernel)
            ]
        if self.out_channels < channels:
            keep = self.out_channels
            after = [ChannelKeep(keep) if groups == 1 else _identity_taps(channels, keep, groups, kernel)]
        return [*before, series, *after]

    def _kernel(self) -> Tensor:
        return self.eval_weight().reshape(self._weight_shape())

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        a = self.arguments
        return a.in_channels, a.in_channels // a.groups, *a.kernel_size

    @override
    def _arguments_repr(self) -> list[str]:
        shown = [f"{self.in_channels}", f"{self.out_channels}"]
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            shown.append(f"{name}={getattr(self, name)!r}")
        return [*shown, f"bias={self.bias is not None}", f"padding_mode={self.padding_mode!r}"]


class SeriesConv2d(SeriesConv):
    """Base of convolutional layers that apply a series of a constrained skew-symmetric convolution.

    `weight` is the kernel of that convolution, `(channels, channels/groups, kh, kw)` with channels the larger of input
    and output. Fewer input channels are filled up with zeros, superfluous output channels are dropped, in each group.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An odd int, or two.
        stride: 1.
        padding: "same", or the same in numbers.
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

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
        given = conv_arguments(
            type(self).__name__,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            padding_mode,
        )
        super().__init__(given, bias, device, dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.series(x, self.weight)

    @override
    def to_plain(self) -> nn.Module:
        modules = self.plain_series()
        return nn.Sequential(*modules).eval() if len(modules) > 1 else modules[0]


class SeriesConv1d(SeriesConv):
    """Base of 1-D convolutional layers that apply a series of a constrained skew-symmetric convolution.

    As `SeriesConv2d` on images of height 1; `weight` is `(channels, channels/groups, k)`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An odd int.
        stride: 1.
        padding: "same", or the same in numbers.
        dilation: An int.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

    unit_axis = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] | str = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        given = line_arguments(
            type(self).__name__,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            padding_mode,
        )
        super().__init__(given, bias, device, dtype)
        torch_attributes(self, given)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.series(x[..., None, :], self.weight[:, :, None]).squeeze(-2)

    @override
    def to_plain(self) -> nn.Module:
        return nn.Sequential(nn.Unflatten(-1, (1, -1)), *self.plain_series(), nn.Flatten(-2, -1)).eval()


def _filled_up(x: Tensor, channels: int, groups: int) -> Tensor:
    if groups == 1:
        return F.pad(x, (0, 0, 0, 0, 0, channels - x.shape[-3]))
    parts = x.unflatten(-3, (groups, -1))
    return F.pad(parts, (0, 0, 0, 0, 0, channels // groups - parts.shape[-3])).flatten(-4, -3)


def _cut(y: Tensor, channels: int, groups: int) -> Tensor:
    if groups == 1:
        return y.narrow(-3, 0, channels)
    return y.unflatten(-3, (groups, -1)).narrow(-3, 0, channels // groups).flatten(-4, -3)


def _identity_taps(inputs: int, outputs: int, groups: int, like: Tensor) -> nn.Module:
    # Channels filled up with zeros, or dropped, in each group.
    eye = torch.eye(outputs // groups, inputs // groups, dtype=like.dtype, device=like.device).repeat(groups, 1)
    plain = nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False, dtype=like.dtype, device=like.device)
    return with_weights(plain, eye[:, :, None, None], None)


def _check_skew(a: ConvArguments) -> None:
    if a.stride != (1, 1):
        raise ValueError(
            f"stride={a.stride} in {a.owner} must be 1, since the series adds images to their convolutions; adaptive "
            f"SOC and AOC take strides"
        )
    if not all(k % 2 for k in a.kernel_size):
        raise ValueError(f"kernel_size={a.kernel_size} in {a.owner} must be odd, since a skew kernel has a centre")
    left, right, top, bottom = a.pads
    if (top + bottom + 1, left + right + 1) != a.extent:
        raise ValueError(
            f"padding={a.padding!r} in {a.owner} must be 'same', since the convolution is applied repeatedly"
        )
