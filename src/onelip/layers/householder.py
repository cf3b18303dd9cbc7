"""The Householder activations: reflect or turn pairs of channels that lie in learned sectors of their plane."""

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


def fold_sectors(first: Tensor, second: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Apply an isometry of its own to each of four sectors of the plane of z = (first, second), so that they fit.

    Counted from the ray at angles[0]/2, the sectors are alpha, beta, pi - alpha and pi - beta wide, where alpha and
    beta are angles[1]/2 and angles[2]/2 folded into [0, pi]. The first is kept, the second reflected across the ray
    that divides it from the first, the third turned by -2 beta, the fourth reflected across the ray at which counting
    began.
    Neighbouring pieces agree on the ray between them, so the map is continuous and 1-Lipschitz.

    Sectors are told apart by signs of products, not by an angle, so the derivative with respect to z is the matrix of
    the piece, at zero too.

    Args:
        first: First coordinate of each point.
        second: Second coordinate, same shape.
        angles: `(3, ...)` in radians, broadcast against them.

    Returns:
        The coordinates of the image.
    """
    (c0, ca, cb), (s0, sa, sb) = torch.cos(angles / 2), torch.sin(angles / 2)
    # (cos, |sin|) is the point of the upper half circle, whatever number the angle has grown to.
    sa, sb = sa.abs(), sb.abs()
    u, v = first * c0 + second * s0, second * c0 - first * s0
    upper = v >= 0
    kept = upper & (u * sa - v * ca > 0)
    last = ~upper & (u * sb - v * cb >= 0)
    turned = v * (ca * cb - sa * sb) - u * (sa * cb + ca * sb) >= 0
    # Every piece is (c u + s v, +-(s u - c v)) with a point (c, s) of the unit circle.
    outer, one = kept | last, torch.ones_like(u)
    c = torch.where(outer, one, torch.where(turned, (cb * cb - sb * sb) * one, (ca * ca - sa * sa) * one))
    s = torch.where(outer, 0 * one, torch.where(turned, 2 * sb * cb * one, 2 * sa * ca * one))
    w = s * u - c * v
    w = torch.where(kept | (turned & ~outer), -w, w)
    u = c * u + s * v
    return u * c0 - w * s0, u * s0 + w * c0


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
        _even(type(self).__name__, channels)
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


@register(
    kind="activation",
    name="householder2",
    orthogonal=True,
    paper="Singla, Singla and Feizi 2022, arXiv:2108.04062, section 5, of order 2",
)
class HouseHolder2(Activation):
    """Keep, reflect, turn or reflect each pair of channels (i, i + channels/2), by the learned sector it lies in.

    The Householder activation of order 2: see `fold_sectors` for the formula. Every singular value is 1 for every
    stored angle, on inputs of any number of axes, at zero too. The three angles of a pair are drawn uniformly from
    [0, pi], as published; each output is rounded a few times, in the wider of the precisions of input and angle.

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
        _even(type(self).__name__, channels)
        self.angle = nn.Parameter(torch.empty(3, channels // 2, device=device, dtype=dtype))
        nn.init.uniform_(self.angle, 0, math.pi)

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
        dim, half = self.axis_of(x), self.angle.shape[1]
        angles = self.angle.reshape(3, half, *[1] * (x.dim() - 1 - dim))
        images = fold_sectors(x.narrow(dim, 0, half), x.narrow(dim, half, half), angles)
        return torch.cat(images, dim).to(x.dtype)


def _even(owner: str, channels: int) -> None:
    if channels % 2:
        raise ValueError(f"channels={channels} in {owner} must be even, since it acts on pairs")
