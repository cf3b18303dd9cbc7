"""GroupSort: sort groups of neighbouring channels; FullSort: sort them all."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import Activation
from onelip.layers.maxmin import sort_pair
from onelip.layers.registry import register

_PAPER = "Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.1"


def _divides(group_size: int, channels: int) -> None:
    if channels % group_size:
        raise ValueError(f"group_size={group_size} in GroupSort does not divide the {channels} channels; use a divisor")


@register(kind="activation", name="groupsort", orthogonal=True, paper=_PAPER)
class GroupSort(Activation):
    """Sort each group of `group_size` neighbouring channels, smallest first.

    Sorting is a permutation that depends on the input, so the Jacobian is a permutation matrix, ties included.
    Values are copied, never rounded: the constant is 1 in floating point too.

    Shape: any, with the channels on axis `dim`; the output has the shape of the input.

    Args:
        group_size: Channels per group; it divides the number of channels.
        dim: Axis of the channels.

    Raises:
        ValueError: If an argument is not an integer of the right range; in `forward`, if the group size does not
            divide the number of channels.
    """

    orthogonal = True

    def __init__(self, group_size: int = 2, dim: int = 1) -> None:
        super().__init__(dim)
        self.group_size = positive_int("GroupSort", "group_size", group_size)

    @classmethod
    def for_channels(cls, channels: int, *, group_size: int = 2, dim: int = 1) -> Self:
        """Build it for a number of channels.

        Args:
            channels: Size of axis `dim`, a multiple of `group_size`.
            group_size: Channels per group.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        layer = cls(group_size, dim).with_channels(channels)
        _divides(layer.group_size, channels)
        return layer

    @override
    def forward(self, x: Tensor) -> Tensor:
        dim = self.axis_of(x)
        _divides(self.group_size, x.shape[dim])
        if self.group_size == 1:
            return x
        groups = x.unflatten(dim, (x.shape[dim] // self.group_size, self.group_size))
        if self.group_size == 2:
            # Several times faster than a sort along a short strided axis.
            maximum, minimum = sort_pair(*groups.unbind(dim + 1))
            ordered = torch.stack((minimum, maximum), dim + 1)
        else:
            ordered = groups.sort(dim + 1).values
        return ordered.flatten(dim, dim + 1)

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group_size={self.group_size}"


@register(kind="activation", name="fullsort", orthogonal=True, paper=_PAPER)
class FullSort(Activation):
    """Sort all channels, smallest first: GroupSort with one group.

    Shape: any, with `channels` on axis `dim`; the output has the shape of the input.

    Args:
        channels: Size of axis `dim`.
        dim: Axis of the channels.

    Raises:
        ValueError: If an argument is not an integer of the right range; in `forward`, if the input has another
            number of channels.
    """

    orthogonal = True

    def __init__(self, channels: int, dim: int = 1) -> None:
        super().__init__(dim)
        self.with_channels(channels)
        self.group_size = channels

    @classmethod
    def for_channels(cls, channels: int, *, dim: int = 1) -> Self:
        """Build it for a number of channels.

        Args:
            channels: Size of axis `dim`.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        return cls(channels, dim)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x.sort(self.axis_of(x)).values

    @override
    def to_plain(self) -> nn.Module:
        return GroupSort.for_channels(self.group_size, group_size=self.group_size, dim=self.dim).eval()
