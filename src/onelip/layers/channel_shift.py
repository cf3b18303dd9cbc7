"""Shift groups of channels by one pixel, around the borders: the spatial mixing of LipNeXt."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import PlainLayer
from onelip.layers.shift_kernel import shift_taps

_KERNEL = (3, 3)


class ChannelShift2d(PlainLayer):
    """Move a part of the channels to the left by one pixel, as many up, right and down, and keep the rest.

    What leaves the image on one side comes in on the other: a permutation of the entries, so the constant is 1 in
    floating point too. It costs a copy. The plain form is a depthwise convolution with circular padding and a single 1
    in each 3x3 kernel.

    Shape: `(N, channels, H, W)` to the same.

    Args:
        channels: Channels of the input.
        shift_ratio: Part of the channels that moves each way, above 0 and at most 1/4; rounded up in total.

    Raises:
        ValueError: If an argument is not allowed; in `forward`, if the input has other channels.

    Paper: Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt, ICLR 2026).
    """

    orthogonal = True

    def __init__(self, channels: int, shift_ratio: float = 0.125) -> None:
        super().__init__()
        owner = type(self).__name__
        self.channels = positive_int(owner, "channels", channels)
        self.shift_ratio = checked_shift_ratio(owner, shift_ratio)
        self._taps = shift_taps(_KERNEL, channels, shift_ratio)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-3] != self.channels:
            raise ValueError(
                f"input of shape {tuple(x.shape)} in {type(self).__name__} must have channels={self.channels}"
            )
        parts = x.split([count for _, count in self._taps], -3)
        rolls = [(1 - a, 1 - b) for (a, b), _ in self._taps]
        moved = [part.roll(by, (-2, -1)) if any(by) else part for part, by in zip(parts, rolls, strict=True)]
        return torch.cat(moved, -3)

    @override
    def to_plain(self) -> nn.Module:
        plain = nn.Conv2d(
            self.channels,
            self.channels,
            _KERNEL,
            padding=1,
            groups=self.channels,
            bias=False,
            padding_mode="circular",
        )
        with torch.no_grad():
            plain.weight.zero_()
            first = 0
            for (a, b), count in self._taps:
                plain.weight[first : first + count, 0, a, b] = 1.0
                first += count
        return plain.eval()

    @override
    def extra_repr(self) -> str:
        return f"{self.channels}, shift_ratio={self.shift_ratio!r}"


def checked_shift_ratio(owner: str, shift_ratio: Any) -> float:
    """Check the part of the channels that moves each way.

    Args:
        owner: Class that the user called.
        shift_ratio: What the user gave.

    Returns:
        It.

    Raises:
        ValueError: It is not a number above 0 and at most 1/4.
    """
    if not isinstance(shift_ratio, float) or not 0 < shift_ratio <= 0.25:
        raise ValueError(f"shift_ratio={shift_ratio!r} in {owner} must be a number above 0 and at most 0.25")
    return shift_ratio
