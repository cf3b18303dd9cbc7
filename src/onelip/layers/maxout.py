"""Maxout: keep the largest channel of each group."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import Activation
from onelip.layers.registry import register


def _divides(group_size: int, channels: int) -> None:
    if channels % group_size:
        raise ValueError(f"group_size={group_size} in Maxout does not divide the {channels} channels; use a divisor")


@register(
    kind="activation",
    name="maxout",
    orthogonal=True,
    paper="Goodfellow et al. 2013, arXiv:1302.4389; 1-Lipschitz in Anil, Lucas and Grosse 2019, arXiv:1811.05381",
)
class Maxout(Activation):
    """Replace each group of `group_size` neighbouring channels by its largest entry.

    The Jacobian selects one channel of each group, at ties too, so its rows are orthonormal: every singular value is 1,
    but the other channels are lost. Values are copied, never rounded: the constant is 1 in floating point too.

    Shape: any, with the channels on axis `dim`; that axis shrinks to channels / group_size.

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
        self.group_size = positive_int("Maxout", "group_size", group_size)

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
    def output_channels(self, channels: int) -> int:
        return channels // self.group_size

    @override
    def forward(self, x: Tensor) -> Tensor:
        dim = self.axis_of(x)
        _divides(self.group_size, x.shape[dim])
        groups = x.unflatten(dim, (x.shape[dim] // self.group_size, self.group_size))
        # Unlike `amax`, `max` sends the gradient to one of several equal entries.
        return torch.max(groups, dim + 1).values

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group_size={self.group_size}"
