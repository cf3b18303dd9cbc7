"""MaxMin of neighbouring channels, in the order of the code of "1-Lipschitz Layers Compared"."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.channels import ChannelShuffle
from onelip.layers.leaf import Activation
from onelip.layers.maxmin import MaxMin, sort_pair
from onelip.layers.registry import register


@register(
    kind="activation",
    name="maxmin-adjacent",
    orthogonal=True,
    paper="Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.2",
)
class AdjacentMaxMin(Activation):
    """Replace channels 2i and 2i + 1 by their maximum and their minimum.

    `MaxMin` pairs channel i with i + h and puts all maxima first. Between layers that mix all channels that makes no
    difference; where half of the channels are dropped afterwards, as in the networks of arXiv:2311.16833, this one
    keeps both entries of half of the pairs and `MaxMin` the maxima of all. Weights that were trained with one order
    need it. The Jacobian is a permutation matrix, ties included, and values are copied, never rounded.

    Shape: any, with an even number of channels on axis `dim`; the output has the shape of the input.

    Args:
        dim: Axis of the channels.

    Raises:
        ValueError: If `dim` is not an integer; in `forward`, if the input has no such axis or an odd number of
            channels.
    """

    orthogonal = True

    @classmethod
    def for_channels(cls, channels: int, *, dim: int = 1) -> Self:
        """Build it for a number of channels.

        Args:
            channels: Size of axis `dim`, even.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        layer = cls(dim).with_channels(channels)
        _check_even(channels)
        return layer

    @override
    def forward(self, x: Tensor) -> Tensor:
        dim = self.axis_of(x)
        _check_even(x.shape[dim])
        pairs = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
        return torch.stack(sort_pair(*pairs), dim + 1).flatten(dim, dim + 1)

    @override
    def to_plain(self) -> nn.Module:
        if self.channels is None:
            raise ValueError("channels of AdjacentMaxMin are not known; build it with AdjacentMaxMin.for_channels")
        deal = ChannelShuffle(self.channels // 2, 2, self.dim)
        return nn.Sequential(deal, MaxMin.for_channels(self.channels, dim=self.dim), deal.inverse()).eval()


def _check_even(channels: int) -> None:
    if channels % 2:
        raise ValueError(f"channels={channels} in AdjacentMaxMin cannot be paired; use an even number, or MaxMin")
