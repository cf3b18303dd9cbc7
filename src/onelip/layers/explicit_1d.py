"""1-D convolutions with an explicit kernel: 2-D ones of height 1."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import ConvArguments, line_arguments
from onelip.layers.explicit import ExplicitConv, with_weights
from onelip.linalg import Bound, conv_norm_bound


def torch_attributes(layer: Any, arguments: ConvArguments) -> None:
    """Set the attributes that `torch.nn.Conv1d` has, from arguments of height 1.

    Args:
        layer: The layer; changed in place.
        arguments: From `line_arguments`.
    """
    a = arguments
    layer.kernel_size, layer.stride, layer.dilation = a.kernel_size[1:], a.stride[1:], a.dilation[1:]
    layer.padding = a.padding if isinstance(a.padding, str) else a.padding[1:]


class ExplicitConv1d(ExplicitConv):
    """Base of 1-D convolutions with an explicit kernel, drop-in for `torch.nn.Conv1d`.

    A subclass builds the kernel of a 2-D convolution of images of height 1, `(out, in/groups, 1, k)`, as a layer on
    images does; `weight` is `(out, in/groups, k)`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int.
        stride: An int.
        padding: An int, "same" or "valid".
        dilation: An int.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular". With circular padding and a stride the length must be a multiple of it.
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

    paddings: ClassVar[tuple[str, ...]] = ("zeros", "circular")
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
        arguments = line_arguments(
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
        super().__init__(arguments, bias, device, dtype)
        torch_attributes(self, arguments)

    @override
    def forward(self, x: Tensor) -> Tensor:
        a = self.arguments
        return F.conv1d(a.pad_line(x), self.weight, self.bias, a.stride[1], 0, a.dilation[1], a.groups)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        a, kernel = self.arguments, self.eval_weight()[:, :, None]
        return conv_norm_bound(kernel, stride=a.stride, dilation=a.dilation, groups=a.groups)

    @override
    def to_plain(self) -> nn.Module:
        a, weight = self.arguments, self.eval_weight()
        plain = nn.Conv1d(
            a.in_channels,
            a.out_channels,
            a.kernel_size[1],
            a.stride[1],
            a.padding if isinstance(a.padding, str) else a.padding[1],
            a.dilation[1],
            a.groups,
            self.bias is not None,
            self.padding_mode,
            device=weight.device,
            dtype=weight.dtype,
        )
        return with_weights(plain, weight, self.bias)

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_channels, self.in_channels // self.groups, *self.arguments.kernel_size
