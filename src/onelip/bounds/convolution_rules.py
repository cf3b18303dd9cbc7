"""Constants of torch's convolutions, plain and transposed, in one to three dimensions, at the image size or for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.bounds.registry import Call, CallRule, Refused, plain, register_calls, register_modules
from onelip.bounds.windows import padding_repeats
from onelip.linalg import Bound, conv_norm_at, conv_norm_size_free, conv_transpose_norm_at

Pads = tuple[tuple[int, int], ...]
"""Pixels (before, after) along each spatial axis, first axis first."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution of images of one size.

    Attributes:
        weight: `(out, in/groups, k ...)` with one to three axes.
        sizes: Pixels of the input along each axis.
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.
        pads: Pixels added along each axis.
        mode: "zeros", "circular", "reflect" or "replicate".
    """

    weight: Tensor
    sizes: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    pads: Pads
    mode: str = "zeros"

    def bound(self) -> Bound:
        """Bound it at this image size, by `conv_norm_at`.

        Returns:
            The proved bound.
        """
        return conv_norm_at(
            self.weight,
            self.sizes,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            pads=self.pads,
            mode=self.mode,
        )

    def size_free(self) -> Bound:
        """Bound it at every image size whose pixels padding copies no more often than at this one.

        The bound for every size holds for zero padding, and for circular padding that adds at most d (k - 1) pixels
        (with the size a multiple of the stride, else that of stride 1 does, since a stride drops outputs). Any other
        padding first copies pixels: the constant times the root of the number of copies of a pixel.

        Returns:
            The proved bound.
        """
        copies = 1
        for size, pads in zip(self.sizes, self.pads, strict=True):
            copies *= padding_repeats(size, *pads, self.mode)
        axes = list(zip(self.sizes, self.pads, self.stride, self.dilation, self.weight.shape[2:], strict=True))
        if self.mode != "circular" or copies == 1 or any(sum(p) > d * (k - 1) for _, p, _, d, k in axes):
            return self._free(self.stride, copies)
        if all(n % s == 0 for n, _, s, _, _ in axes):
            return self._free(self.stride, 1)
        return min(self._free(self.stride, copies), self._free((1,) * len(axes), 1), key=lambda bound: bound.value)

    def _free(self, stride: tuple[int, ...], copies: int) -> Bound:
        return conv_norm_size_free(
            self.weight, stride=stride, dilation=self.dilation, groups=self.groups, copies=copies
        )


@dataclass(frozen=True, eq=False)
class TransposedConvolution:
    """A transposed convolution of images of one size: the adjoint of a zero-padded convolution, cropped.

    Attributes:
        weight: `(in, out/groups, k ...)` with one to three axes.
        sizes: Pixels of the input along each axis.
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.
        padding: Pixels cropped on either side, for each axis.
        output_padding: Pixels added at the end of each axis.
    """

    weight: Tensor
    sizes: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]

    def bound(self) -> Bound:
        """Bound it at this image size, by `conv_transpose_norm_at`.

        Returns:
            The proved bound.
        """
        return conv_transpose_norm_at(
            self.weight,
            self.sizes,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            padding=self.padding,
            output_padding=self.output_padding,
        )

    def size_free(self) -> Bound:
        """Bound it at every image size.

        Returns:
            The proved bound.
        """
        return conv_norm_size_free(self.weight, stride=self.stride, dilation=self.dilation, groups=self.groups)


CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d, torch.conv1d, torch.conv2d, torch.conv3d)
"""Functions that convolve."""

TRANSPOSED = (
    F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d, torch.conv_transpose1d, torch.conv_transpose2d,
    torch.conv_transpose3d,
)  # fmt: skip
"""Functions that apply the adjoint of a convolution."""


def module_convolution(module: Any, input_shape: tuple[int, ...]) -> Convolution:
    """Describe an `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`.

    Args:
        module: The module.
        input_shape: Shape of one input sample.

    Returns:
        What it computes.
    """
    sides = list(module._reversed_padding_repeated_twice)
    pads = tuple((sides[i], sides[i + 1]) for i in range(len(sides) - 2, -1, -2))
    sizes = _sizes(input_shape, module.weight)
    return Convolution(module.weight, sizes, module.stride, module.dilation, module.groups, pads, module.padding_mode)


def module_transposed(module: Any, input_shape: tuple[int, ...]) -> TransposedConvolution:
    """Describe an `nn.ConvTranspose1d`, `nn.ConvTranspose2d` or `nn.ConvTranspose3d`.

    Args:
        module: The module.
        input_shape: Shape of one input sample.

    Returns:
        What it computes.
    """
    sizes = _sizes(input_shape, module.weight)
    return TransposedConvolution(
        module.weight,
        sizes,
        module.stride,
        module.dilation,
        module.groups,
        module.padding,
        module.output_padding,
    )


def call_convolution(call: Call) -> Convolution:
    """Describe a call of one of `CONVOLUTIONS`.

    Args:
        call: The call.

    Returns:
        What it computes.
    """
    weight, sizes, axes = _weight_and_sizes(call)
    stride, dilation = (_each(call.argument(i, name, 1), axes) for i, name in ((3, "stride"), (5, "dilation")))
    padding = call.argument(4, "padding", 0)
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pads: Pads = tuple((r // 2, r - r // 2) for r in reach)
    else:
        pads = tuple((p, p) for p in _each(0 if padding == "valid" else padding, axes))
    return Convolution(weight, sizes, stride, dilation, call.argument(6, "groups", 1), pads)


def call_transposed(call: Call) -> TransposedConvolution:
    """Describe a call of one of `TRANSPOSED`.

    Args:
        call: The call.

    Returns:
        What it computes.
    """
    weight, sizes, axes = _weight_and_sizes(call)
    names = ((3, "stride", 1), (7, "dilation", 1), (4, "padding", 0), (5, "output_padding", 0))
    stride, dilation, padding, extra = (_each(call.argument(*argument), axes) for argument in names)
    return TransposedConvolution(weight, sizes, stride, dilation, call.argument(6, "groups", 1), padding, extra)


def _weight_and_sizes(call: Call) -> tuple[Tensor, tuple[int, ...], int]:
    weight = stored_weight(call)
    sizes = _sizes(tuple(call.only_signal()[0].shape[1:]), weight)
    return weight, sizes, len(sizes)


def stored_weight(call: Call) -> Tensor:
    """Take the weight of a call of a convolution or linear function.

    Args:
        call: The call.

    Returns:
        The stored tensor.

    Raises:
        Refused: If anything but the first argument depends on the network's input.
    """
    first = call.args[0] if call.args else call.kwargs.get("input")
    if call.only_signal()[0] is not plain(first):
        raise Refused("only its input may depend on the input of the network")
    weight: Tensor = call.argument(1, "weight")
    return weight


def _sizes(shape: tuple[int, ...], weight: Tensor) -> tuple[int, ...]:
    if len(shape) != weight.dim() - 1:
        raise Refused(f"its input of shape {shape} does not fit a weight of shape {tuple(weight.shape)}")
    return shape[1:]


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * axes
    values = tuple(int(v) for v in value)
    return values * axes if len(values) == 1 else values


def _of_call(describe: Callable[[Call], Convolution | TransposedConvolution], size_free: bool) -> CallRule:
    def rule(call: Call) -> Bound:
        found = describe(call)
        return call.only_signal()[1].then(found.size_free() if size_free else found.bound())

    return rule


register_modules(
    lambda module, shape: module_convolution(module, shape).bound(),
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    size_free=lambda module, shape: module_convolution(module, shape).size_free(),
)
register_modules(
    lambda module, shape: module_transposed(module, shape).bound(),
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    size_free=lambda module, shape: module_transposed(module, shape).size_free(),
)
register_calls(
    _of_call(call_convolution, size_free=False), *CONVOLUTIONS, size_free=_of_call(call_convolution, size_free=True)
)
register_calls(
    _of_call(call_transposed, size_free=False), *TRANSPOSED, size_free=_of_call(call_transposed, size_free=True)
)
