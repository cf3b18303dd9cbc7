"""The Householder activation: reflect pairs of channels that lie on one side of a learned line."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


def reflect_half_plane(first: Tensor, second: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Reflect the points z = (first, second) of one half plane across its border, and keep the others.

    z -> z - 2 relu(<v, z>) v with the unit vector v = (sin(angle/2), -cos(angle/2)). Both pieces are isometries and
    agree on the border <v, z> = 0, so the map is 1-Lipschitz and, almost everywhere, keeps the norm of gradients.

    Args:
        first: First coordinate of each point.
        second: Second coordinate, same shape.
        angle: In radians, broadcast against them; angle/2 is the direction of the border.

    Returns:
        The coordinates of the image.
    """
    sine, cosine = torch.sin(angle / 2), torch.cos(angle / 2)
    twice = 2 * torch.relu(first * sine - second * cosine)
    return first - twice * sine, second + twice * cosine


@register(
    kind="activation",
    name="householder",
    orthogonal=True,
    paper="Singla, Singla and Feizi 2022, arXiv:2108.04062, section 5",
)
class HouseHolder(Activation):
    """Reflect each pair of channels (i, i + channels/2) across a learned line if it lies on one side of it.

    See `reflect_half_plane` for the formula. At the initial angle pi/2 it sorts the pair (MaxMin, minimum first).
    The constant is exactly 1 in real arithmetic for every stored angle; each output is rounded a few times, in the
    wider of the precisions of input and angle.

    Shape: any, with `channels` on axis `dim`; the output has the shape and precision of the input.

    Args:
        channels: Size of axis `dim`, even.
        dim: Axis of the channels.
        device: Device of the angles.
        dtype: Precision of the angles.

    Raises:
        ValueError: If `channels` is odd or an argument is not an integer; in `forward`, if the input has another
            number of channels.
    """

    orthogonal = True

    def __init__(
        self,
        channels: int,
        dim: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(dim)
        self.with_channels(channels)
        if channels % 2:
            raise ValueError(f"channels={channels} in HouseHolder must be even, since it acts on pairs")
        self.angle = nn.Parameter(torch.full((channels // 2,), math.pi / 2, device=device, dtype=dtype))

    @classmethod
    def for_channels(cls, channels: int, *, dim: int = 1) -> Self:
        """Build it for a number of channels.

        Args:
            channels: Size of axis `dim`, even.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        return cls(channels, dim)

    @override
    def forward(self, x: Tensor) -> Tensor:
        dim, half = self.axis_of(x), self.angle.numel()
        angle = self.angle.reshape(half, *[1] * (x.dim() - 1 - dim))
        images = reflect_half_plane(x.narrow(dim, 0, half), x.narrow(dim, half, half), angle)
        return torch.cat(images, dim).to(x.dtype)
