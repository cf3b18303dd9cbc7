"""Two-sided ReLU: the positive and the negative parts of all channels, side by side."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


@register(kind="activation", name="two-sided-relu", paper="Qian and Wegman 2019, arXiv:1802.07896, section 2.3")
class TwoSidedReLU(Activation):
    """Return relu(x) and relu(-x), one after the other along the channels: twice as many.

    The squares of both parts of an entry add up to its square, so the norm of x is kept, and distances do not grow:
    |relu(a) - relu(b)|^2 + |relu(-a) - relu(-b)|^2 <= |a - b|^2. Nothing is rounded: the constant is 1 in floating
    point too, in l2 and in l_inf.

    Shape: `(N, C, ...)` to `(N, 2 C, ...)`.
    """

    def __init__(self) -> None:
        super().__init__(1)

    @classmethod
    def for_channels(cls, channels: int) -> Self:
        """Build it for a number of channels; any number will do.

        Args:
            channels: Size of axis 1, which `forward` then checks.

        Returns:
            The layer.
        """
        return cls().with_channels(channels)

    @override
    def output_channels(self, channels: int) -> int:
        return 2 * channels

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.axis_of(x)
        return torch.cat([torch.relu(x), torch.relu(-x)], 1)
