"""Change the number or the order of channels without stretching: append zeros, keep the first ones, shuffle."""

from __future__ import annotations

import torch
from torch import Tensor, nn
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


class ChannelShuffle(PlainLayer):
    """Deal the channels of `group_in` groups out to `group_out` groups: a permutation, exact in floating point.

    Each group of the input is cut into `group_out` parts, and group j of the output gathers part j of all. Between
    grouped convolutions this lets every group see every other. For k group_in group_out channels, channel
    (i group_out + j) k + l moves to (j group_in + i) k + l; `nn.ChannelShuffle(g)` on C channels is
    `ChannelShuffle(g, C // g)`.

    Shape: any, with the channels on axis `dim`; the output has the shape of the input.

    Args:
        group_in: Groups of the input.
        group_out: Groups of the output.
        dim: Axis of the channels.

    Raises:
        ValueError: If an argument is not an integer of the right range; in `forward`, if group_in group_out does not
            divide the channels.
    """

    orthogonal = True

    def __init__(self, group_in: int, group_out: int, dim: int = 1) -> None:
        super().__init__()
        self.group_in = positive_int("ChannelShuffle", "group_in", group_in)
        self.group_out = positive_int("ChannelShuffle", "group_out", group_out)
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise ValueError(f"dim={dim!r} in ChannelShuffle must be an integer")
        self.dim = dim

    def inverse(self) -> ChannelShuffle:
        """Build the permutation that undoes this one.

        Returns:
            The layer with the two numbers of groups swapped.
        """
        return ChannelShuffle(self.group_out, self.group_in, self.dim)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not -x.dim() <= self.dim < x.dim():
            raise ValueError(f"dim={self.dim} in ChannelShuffle is not an axis of an input with {x.dim()} axes")
        dim = self.dim % x.dim()
        part, left = divmod(x.shape[dim], self.group_in * self.group_out)
        if left:
            raise ValueError(
                f"group_in={self.group_in} times group_out={self.group_out} in ChannelShuffle does not divide the "
                f"{x.shape[dim]} channels of the input"
            )
        parts = x.unflatten(dim, (self.group_in, self.group_out, part))
        return parts.transpose(dim, dim + 1).flatten(dim, dim + 2)

    @override
    def extra_repr(self) -> str:
        return f"group_in={self.group_in}, group_out={self.group_out}, dim={self.dim}"


def fit_channels(layer: nn.Module, in_channels: int, width: int, out_channels: int) -> nn.Module:
    """Put a layer between others: append zero channels, or drop the last ones, before and after it.

    Args:
        layer: Keeps or lowers the number of channels.
        in_channels: Channels of the input, at most `width`.
        width: Channels of the layer's output, and of its input.
        out_channels: Channels of the output.

    Returns:
        The layer itself where nothing is missing, otherwise a sequence.
    """
    parts = [layer]
    if in_channels < width:
        parts.insert(0, ChannelPad(width))
    if out_channels < width:
        parts.append(ChannelKeep(out_channels))
    if out_channels > width:
        parts.append(ChannelPad(out_channels))
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
