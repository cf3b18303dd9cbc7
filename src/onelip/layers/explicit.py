"""Layers that build an ordinary weight from raw parameters: convolution, transposed convolution, dense."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.circular import CircularConv2d, CircularConvTranspose2d, conv_transpose2d_circular
from onelip.layers.conv_arguments import ConvArguments, conv_arguments, positive_int
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.linalg import Bound, conv_norm_bound, matrix_norm_bound

__all__ = ["ExplicitConv2d", "ExplicitConvTranspose2d", "ExplicitLinear", "ExplicitWeight"]


class ExplicitLinear(ExplicitWeight):
    """Base of dense layers `y = x W^T + b`, drop-in for `torch.nn.Linear`.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If a size is not a positive integer.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.in_features = positive_int(owner, "in_features", in_features)
        self.out_features = positive_int(owner, "out_features", out_features)
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self._reset_bias(in_features)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return matrix_norm_bound(self.eval_weight())

    @override
    def to_plain(self) -> nn.Module:
        weight = self.eval_weight()
        plain = nn.Linear(
            self.in_features,
            self.out_features,
            self.bias is not None,
            device=weight.device,
            dtype=weight.dtype,
        )
        return with_weights(plain, weight, self.bias)

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_features, self.in_features

    @override
    def _arguments_repr(self) -> list[str]:
        return [f"{self.in_features}", f"{self.out_features}", f"bias={self.bias is not None}"]


class ExplicitConv(ExplicitWeight):
    """What explicit convolutions share: the checked arguments under torch's names, and the bias.

    Args:
        arguments: The checked arguments.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
    """

    def __init__(self, arguments: ConvArguments, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        self.arguments = arguments
        self.in_channels, self.out_channels = arguments.in_channels, arguments.out_channels
        self.kernel_size, self.stride, self.padding = (
            arguments.kernel_size,
            arguments.stride,
            arguments.padding,
        )
        self.dilation, self.groups = arguments.dilation, arguments.groups
        self.padding_mode = arguments.padding_mode
        self.bias = nn.Parameter(torch.empty(self.out_channels, device=device, dtype=dtype)) if bias else None
        # The fan-in as torch counts it, also for transposed convolutions.
        self._reset_bias(math.prod(self._weight_shape()[1:]))

    def _arguments_repr(self) -> list[str]:
        shown = [f"{self.in_channels}", f"{self.out_channels}"]
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            shown.append(f"{name}={getattr(self, name)!r}")
        return [*shown, f"bias={self.bias is not None}", f"padding_mode={self.padding_mode!r}"]


class ExplicitConv2d(ExplicitConv):
    """Base of convolutions with an explicit kernel, drop-in for `torch.nn.Conv2d`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular". With circular padding and a stride the image must be a multiple of it.
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

    paddings: ClassVar[tuple[str, ...]] = ("zeros", "circular")

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
        arguments = conv_arguments(
            type(self).__name__,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            padding_mode,
            paddings=self.paddings,
        )
        super().__init__(arguments, bias, device, dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        left, right, top, bottom = self.arguments.pads
        padding = (top, left)
        if self.padding_mode == "zeros" and padding == (bottom, right):
            # Without a padded copy of the image, which takes as long as a small convolution.
            self.arguments.check_image(x.shape[-2], x.shape[-1])
        else:
            x, padding = self.arguments.pad(x), (0, 0)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return conv_norm_bound(self.eval_weight(), stride=self.stride, dilation=self.dilation, groups=self.groups)

    @override
    def to_plain(self) -> nn.Module:
        weight = self.eval_weight()
        if self.arguments.wraps and self.padding_mode == "circular":
            return CircularConv2d(weight, self.bias, self.arguments)
        plain = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.arguments.kernel_size,
            self.stride,
            self.arguments.padding,
            self.dilation,
            self.groups,
            self.bias is not None,
            self.padding_mode,
            device=weight.device,
            dtype=weight.dtype,
        )
        return with_weights(plain, weight, self.bias)

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_channels, self.in_channels // self.groups, *self.arguments.kernel_size


class ExplicitConvTranspose2d(ExplicitConv):
    """Base of transposed convolutions with an explicit kernel, drop-in for `torch.nn.ConvTranspose2d`.

    The layer is the adjoint of the convolution with the same weight from `out_channels` to `in_channels`. With
    `padding_mode="circular"` it is the adjoint of the circular convolution, with an image `stride` times the size.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: Pixels cropped from each side, an int or a pair.
        output_padding: Pixels added at the end of each axis, smaller than the stride ("zeros" only).
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        dilation: An int or a pair.
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

    paddings: ClassVar[tuple[str, ...]] = ("zeros", "circular")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        owner = type(self).__name__
        if isinstance(padding, str):
            raise ValueError(f"padding={padding!r} in {owner} must be an integer or two of them")
        arguments = conv_arguments(
            owner,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            padding_mode,
            paddings=self.paddings,
        )
        super().__init__(arguments, bias, device, dtype)
        self.output_padding = _output_padding(owner, output_padding, arguments)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.padding_mode == "circular":
            return conv_transpose2d_circular(x, self.weight, self.bias, self.arguments)
        left, _, top, _ = self.arguments.pads
        return F.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            (top, left),
            self.output_padding,
            self.groups,
            self.dilation,
        )

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return conv_norm_bound(self.eval_weight(), stride=self.stride, dilation=self.dilation, groups=self.groups)

    @override
    def to_plain(self) -> nn.Module:
        weight = self.eval_weight()
        if self.padding_mode == "circular":
            return CircularConvTranspose2d(weight, self.bias, self.arguments)
        left, _, top, _ = self.arguments.pads
        plain = nn.ConvTranspose2d(
            self.in_channels,
            self.out_channels,
            self.arguments.kernel_size,
            self.stride,
            (top, left),
            self.output_padding,
            self.groups,
            self.bias is not None,
            self.dilation,
            device=weight.device,
            dtype=weight.dtype,
        )
        return with_weights(plain, weight, self.bias)

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        return self.in_channels, self.out_channels // self.groups, *self.arguments.kernel_size

    @override
    def _arguments_repr(self) -> list[str]:
        return [*super()._arguments_repr(), f"output_padding={self.output_padding!r}"]


def _output_padding(owner: str, value: Any, arguments: ConvArguments) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else value
    limits = tuple(max(s, d) for s, d in zip(arguments.stride, arguments.dilation, strict=True))
    fits = isinstance(pair, (tuple, list)) and len(pair) == 2
    if not fits or not all(type(v) is int and 0 <= v < top for v, top in zip(pair, limits, strict=True)):
        raise ValueError(
            f"output_padding={value!r} in {owner} must be at least 0 and smaller than stride or dilation {limits}"
        )
    if arguments.padding_mode == "circular" and any(pair):
        raise ValueError(f"output_padding={value!r} in {owner} has no meaning with padding_mode='circular'; use 0")
    return pair[0], pair[1]


def with_weights(plain: Any, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """Fill a torch layer.

    Args:
        plain: The layer; changed in place.
        weight: Its weight; copied.
        bias: Its bias or None; copied.

    Returns:
        The layer, in eval mode.
    """
    with torch.no_grad():
        plain.weight.copy_(weight)
        if bias is not None:
            plain.bias.copy_(bias)
    module: nn.Module = plain.eval()
    return module
