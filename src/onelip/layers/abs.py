"""The absolute value as an activation."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


@register(
    kind="activation",
    name="abs",
    orthogonal=True,
    paper="Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.2",
)
class Abs(Activation):
    """Take the absolute value of every entry.

    The Jacobian is diagonal with entries +-1 everywhere, at 0 too. Nothing is rounded: the constant
    is 1 in floating point too.

    Shape: any; the output has the shape of the input.
    """

    orthogonal = True

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
    def forward(self, x: Tensor) -> Tensor:
        if self.channels is not None:
            self.axis_of(x)
        # The derivative of x.abs() at 0 is 0, of this +-1, and its backward pass is a single product.
        return x * torch.copysign(torch.ones_like(x), x.detach())
