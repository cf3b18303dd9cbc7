"""Change the number of channels without stretching: append zeros, or keep the first ones."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import PlainLayer


class ChannelPad(PlainLayer):
    """Append zero channels up to `out_channels`: an isometric embedding, exact in floating point.

    Shape: `(N, C, ...)` to `(N, out_channels, ...)`.

    Args:
        out_channels: Channels of the output.

    Raises:
        ValueError: If it is not a positive integer; in `forward`, if the input has more channels.
    """

    orthogonal = True

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = positive_int("ChannelPad", "out_channels", out_channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        missing = self.out_channels - x.shape[1]
        if missing < 0:
            raise ValueError(
                f"out_channels={self.out_channels} in ChannelPad is less than the {x.shape[1]} channels of the input; "
                f"use ChannelKeep"
            )
        if missing == 0:
            return x
        return torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], 1)

    @override
    def extra_repr(self) -> str:
        return f"{self.out_channels}"


class ChannelKeep(PlainLayer):
    """Keep the first `out_channels` channels and drop the others: a projection, exact in floating point.

    Shape: `(N, C, ...)` to `(N, out_channels, ...)`.

    Args:
        out_channels: Channels of the output.

    Raises:
        ValueError: If it is not a positive integer; in `forward`, if the input has fewer channels.
    """

    orthogonal = True

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = positive_int("ChannelKeep", "out_channels", out_channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.out_channels > x.shape[1]:
            raise ValueError(
                f"out_channels={self.out_channels} in ChannelKeep is more than the {x.shape[1]} channels of the input; "
                f"use ChannelPad"
            )
        return x[:, : self.out_channels]

    @override
    def extra_repr(self) -> str:
        return f"{self.out_channels}"
