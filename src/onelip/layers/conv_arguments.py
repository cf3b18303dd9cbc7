"""The arguments of a 2-D or 1-D convolution, checked once, and what they do to an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def positive_int(owner: str, name: str, value: Any) -> int:
    """Check that an argument is a positive integer.

    Args:
        owner: Class that the user called.
        name: Name of the argument.
        value: What the user gave.

    Returns:
        The value.

    Raises:
        ValueError: If it is not an int of at least 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} in {owner} must be an integer of at least 1")
    return value


def checked_pair(owner: str, name: str, value: Any, least: int) -> Pair:
    """Check an argument that is an integer for both axes, or one for each.

    Args:
        owner: Class that the user called.
        name: The argument's name.
        value: What was given.
        least: Smallest integer allowed.

    Returns:
        (vertical, horizontal).

    Raises:
        ValueError: If it is neither.
    """
    pair = (value, value) if isinstance(value, int) and not isinstance(value, bool) else value
    ok = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(type(v) is int and v >= least for v in pair)
    if not ok:
        raise ValueError(f"{name}={value!r} in {owner} must be an integer of at least {least}, or two of them")
    return int(pair[0]), int(pair[1])


def circular_pad(x: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    """Continue images periodically, more than once round if need be.

    Args:
        x: `(..., C, H, W)` images.
        pads: Pixels added (left, right, top, bottom).

    Returns:
        Padded images.
    """
    left, right, top, bottom = pads
    height, width = x.shape[-2:]
    if max(top, bottom) <= height and max(left, right) <= width:
        return F.pad(x, pads, mode="circular")
    rows = torch.arange(-top, height + bottom, device=x.device) % height
    columns = torch.arange(-left, width + right, device=x.device) % width
    return x.index_select(-2, rows).index_select(-1, columns)


@dataclass(frozen=True)
class ConvArguments:
    """Checked arguments of a 2-D convolution.

    Attributes:
        owner: Name of the class, for messages.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: (height, width).
        stride: (vertical, horizontal).
        padding: What the user gave: (vertical, horizontal), "same" or "valid".
        dilation: (vertical, horizontal).
        groups: Number of groups.
        padding_mode: "zeros" or "circular".
        pads: Pixels added (left, right, top, bottom).
        wraps: May circular padding exceed the image and go round it more than once? Torch's layers cannot.
    """

    owner: str
    in_channels: int
    out_channels: int
    kernel_size: Pair
    stride: Pair
    padding: Pair | str
    dilation: Pair
    groups: int
    padding_mode: Literal["zeros", "circular"]
    pads: tuple[int, int, int, int]
    wraps: bool = False

    @property
    def extent(self) -> Pair:
        """Height and width of the area that one output pixel sees: d (k - 1) + 1."""
        (kh, kw), (dh, dw) = self.kernel_size, self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    def pad(self, x: Tensor) -> Tensor:
        """Pad an image batch as the layer's arguments say.

        Args:
            x: `(..., C, H, W)` images.

        Returns:
            Padded images.

        Raises:
            ValueError: If the image is smaller than the circular padding, or its size is not a multiple of the
                stride where circular padding needs that, or no output pixel is left.
        """
        self.check_image(x.shape[-2], x.shape[-1])
        if not any(self.pads):
            return x
        if self.padding_mode == "zeros":
            return F.pad(x, self.pads)
        return circular_pad(x, self.pads)

    def pad_line(self, x: Tensor) -> Tensor:
        """Pad a batch of signals, for arguments from `line_arguments`.

        Args:
            x: `(..., C, L)` signals.

        Returns:
            Padded signals.

        Raises:
            ValueError: As `pad` does.
        """
        self.check_image(1, x.shape[-1])
        if not any(self.pads):
            return x
        return F.pad(x, self.pads[:2], mode="circular" if self.padding_mode == "circular" else "constant")

    def check_image(self, height: int, width: int) -> None:
        """Refuse image sizes at which the layer is undefined or its bound would not hold.

        Args:
            height: Height of the input image.
            width: Width of the input image.

        Raises:
            ValueError: See `pad`.
        """
        left, right, top, bottom = self.pads
        rows = zip(
            ("height", "width"),
            (height, width),
            (top, left),
            (bottom, right),
            self.extent,
            self.stride,
            strict=True,
        )
        for name, size, before, after, extent, stride in rows:
            if size + before + after < extent:
                raise ValueError(
                    f"image {name} {size} is too small for {self.owner} with padding {before + after} and a kernel "
                    f"extent of {extent}; it must be at least {extent - before - after}"
                )
            if self.padding_mode == "circular" and max(before, after) > size and not self.wraps:
                raise ValueError(
                    f"image {name} {size} is smaller than the circular padding {max(before, after)} of {self.owner}"
                )
            if self.padding_mode == "circular" and before + after and size % stride:
                raise ValueError(
                    f"image {name} {size} is not a multiple of stride {stride} in {self.owner} with circular padding; "
                    f"use such an image or padding_mode='zeros'"
                )

    def output_size(self, height: int, width: int) -> Pair:
        """Size of the output image.

        Args:
            height: Height of the input image.
            width: Width of the input image.

        Returns:
            (height, width) of the output.
        """
        left, right, top, bottom = self.pads
        (eh, ew), (sh, sw) = self.extent, self.stride
        return (height + top + bottom - eh) // sh + 1, (width + left + right - ew) // sw + 1


def _pads(owner: str, padding: Any, stride: Pair, reach: Pair) -> tuple[Pair | str, tuple[int, int, int, int]]:
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding={padding!r} in {owner} must be an integer, two of them, 'same' or 'valid'")
        if padding == "same" and stride != (1, 1):
            raise ValueError(f"padding='same' in {owner} needs stride 1, not stride={stride}; give padding as a number")
        total = reach if padding == "same" else (0, 0)
        # An odd total puts the extra pixel after the image, as torch does.
        return padding, (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2)
    pair = checked_pair(owner, "padding", padding, 0)
    return pair, (pair[1], pair[1], pair[0], pair[0])


def _check_channels(owner: str, in_channels: Any, out_channels: Any, groups: Any) -> None:
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
        positive_int(owner, name, value)
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if value % groups:
            raise ValueError(f"groups={groups} does not divide {name}={value} in {owner}; use a common divisor")


def _check_padding_mode(owner: str, padding_mode: Any, allowed: tuple[str, ...]) -> None:
    if padding_mode in allowed:
        return
    names = " or ".join(map(repr, allowed))
    if padding_mode in ("reflect", "replicate"):
        raise ValueError(
            f"padding_mode={padding_mode!r} in {owner} repeats pixels and can raise the norm above 1; use {names}"
        )
    raise ValueError(f"padding_mode={padding_mode!r} in {owner} is not supported; use {names}")


def conv_arguments(
    owner: str,
    in_channels: Any,
    out_channels: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    padding_mode: Any = "zeros",
    *,
    paddings: tuple[str, ...] = ("zeros", "circular"),
) -> ConvArguments:
    """Check the arguments of a convolution.

    Args:
        owner: Name of the class, for messages.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: An int, a pair, "same" (stride 1) or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        padding_mode: One of `paddings`.
        paddings: Modes under which the caller's bound holds.

    Returns:
        The checked arguments.

    Raises:
        ValueError: In one sentence, if any argument is not allowed. Circular padding by more than the kernel's
            reach d (k - 1) repeats pixels, so it is not allowed either.
    """
    _check_channels(owner, in_channels, out_channels, groups)
    kernel = checked_pair(owner, "kernel_size", kernel_size, 1)
    step, spread = checked_pair(owner, "stride", stride, 1), checked_pair(owner, "dilation", dilation, 1)
    _check_padding_mode(owner, padding_mode, paddings)
    reach = (spread[0] * (kernel[0] - 1), spread[1] * (kernel[1] - 1))
    given, pads = _pads(owner, padding, step, reach)
    if padding_mode == "circular" and (pads[0] + pads[1] > reach[1] or pads[2] + pads[3] > reach[0]):
        raise ValueError(
            f"padding={padding!r} in {owner} with padding_mode='circular' repeats pixels; "
            f"twice the padding must be at most dilation * (kernel_size - 1) = {reach}"
        )
    return ConvArguments(owner, in_channels, out_channels, kernel, step, given, spread, groups, padding_mode, pads)


def line_arguments(
    owner: str,
    in_channels: Any,
    out_channels: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    padding_mode: Any = "zeros",
) -> ConvArguments:
    """Check the arguments of a 1-D convolution.

    Args:
        owner: Name of the class, for messages.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int, or a tuple of one.
        stride: Likewise.
        padding: Likewise, "same" (stride 1) or "valid".
        dilation: Likewise.
        groups: A common divisor of the channels.
        padding_mode: "zeros" or "circular".

    Returns:
        Those of a 2-D convolution of images of height 1.

    Raises:
        ValueError: As `conv_arguments` does.
    """
    size, step = _checked_one(owner, "kernel_size", kernel_size, 1), _checked_one(owner, "stride", stride, 1)
    spread = _checked_one(owner, "dilation", dilation, 1)
    sides = padding if isinstance(padding, str) else (0, _checked_one(owner, "padding", padding, 0))
    return conv_arguments(
        owner, in_channels, out_channels, (1, size), (1, step), sides, (1, spread), groups, padding_mode
    )


def _checked_one(owner: str, name: str, value: Any, least: int) -> int:
    single = value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value
    if type(single) is not int or single < least:
        raise ValueError(f"{name}={value!r} in {owner} must be an integer of at least {least}")
    return single
