"""The absolute value as an activation, of all channels or of a share of them."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


def fold(x: Tensor) -> Tensor:
    """Take absolute values, with derivative +-1 at 0 too.

    Args:
        x: Any tensor.

    Returns:
        |x|.
    """
    # The derivative of x.abs() at 0 is 0, of this +-1, and its backward pass is a single product.
    return x * torch.copysign(torch.ones_like(x), x.detach())


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
        return fold(x)


@register(
    kind="activation",
    name="beta-abs",
    orthogonal=True,
    paper="LipNeXt, ICLR 2026; the case of all channels in Anil, Lucas and Grosse 2019, arXiv:1811.05381",
)
class BetaAbs(Activation):
    """Take the absolute value of the first floor(beta channels) channels and keep the others.

    With beta = 1/2 it is MaxMin up to rotations of pairs of channels. The Jacobian is diagonal with entries +-1
    everywhere. Nothing is rounded: the constant is 1 in floating point too.

    Shape: any, with the channels on axis `dim`; the output has the shape of the input.

    Args:
        beta: Share of the channels, from 0 to 1. The product is rounded down after adding 1e-9, so that a decimal
            fraction like 0.29 of 100 channels means what it says.
        dim: Axis of the channels.

    Raises:
        ValueError: If `beta` is not a number from 0 to 1 or `dim` not an integer; in `forward`, if the input has no
            such axis.
    """

    orthogonal = True

    def __init__(self, beta: float = 0.5, dim: int = 1) -> None:
        super().__init__(dim)
        if type(beta) not in (int, float) or not 0 <= beta <= 1:
            raise ValueError(f"beta={beta!r} in BetaAbs must be a number from 0 to 1")
        self.beta = float(beta)

    @classmethod
    def for_channels(cls, channels: int, *, beta: float = 0.5, dim: int = 1) -> Self:
        """Build it for a number of channels; any number will do.

        Args:
            channels: Size of axis `dim`.
            beta: Share of the channels.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        return cls(beta, dim).with_channels(channels)

    def folded(self, channels: int) -> int:
        """Count the channels whose absolute value is taken.

        Args:
            channels: Size of axis `dim`.

        Returns:
            floor(beta channels).
        """
        return math.floor(self.beta * channels + 1e-9)

    @override
    def forward(self, x: Tensor) -> Tensor:
        dim = self.axis_of(x)
        count = self.folded(x.shape[dim])
        return torch.cat([fold(x.narrow(dim, 0, count)), x.narrow(dim, count, x.shape[dim] - count)], dim)

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, beta={self.beta!r}"
