"""Floating-point neighbours of points at the border of a certified ball, and other ways to round the same network."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.attacks.ball import Norm, distances

_LONGEST = 4
"""Largest random move of a pixel, in units in the last place."""

_INWARD = (1.0, 1 - 2.0**-40, 1 - 1e-9)
"""Shares of the radius at which the lattice around the border is searched."""


def at_border(point: Tensor, origin: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    """Move points along the rays from their samples to the border of the ball.

    Args:
        point: `(N, ...)` float64.
        origin: `(N, ...)` samples.
        radius: `(N,)` radii.
        norm: Norm of the balls.

    Returns:
        `(N, ...)`; a point that is its own sample stays.
    """
    length = distances(point, origin, norm)
    share = torch.where(length > 0, radius / length, 0.0)
    return origin + (point - origin) * share.reshape(-1, *[1] * (point.dim() - 1))


def lattice(
    point: Tensor, origin: Tensor, radius: float, direction: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Walk the floating-point numbers around a point at the border of a ball.

    A third of the points go along the signs of `direction` by one to several units in the last place in every pixel;
    the others move random pixels by up to four units. All begin at, or a little inside of, the border.

    Args:
        point: One sample at the border, float64 or float32; its type is that of the lattice.
        origin: The centre, of the same shape.
        radius: The radius; 0 gives moves of the centre itself.
        direction: Where the margin falls, of the same shape.
        count: How many points, at least 3.
        generator: Source of randomness.

    Returns:
        `(count, ...)` of the type of `point`; not all are inside of the ball.
    """
    inward = torch.tensor(_INWARD, dtype=torch.float64)[torch.arange(count) % len(_INWARD)]
    inward = inward.reshape(-1, *[1] * point.dim())
    start = (origin.double() + inward * (point.double() - origin.double())).to(point.dtype)
    if radius == 0:
        start = origin.to(point.dtype).expand(count, *origin.shape)
    moves = torch.randint(-_LONGEST, _LONGEST + 1, start.shape, generator=generator).to(point.dtype)
    share = torch.rand(count, generator=generator).square().reshape(inward.shape)
    moves = torch.where(torch.rand(start.shape, generator=generator) < share, moves, 0.0)
    straight = count // 3
    lengths = torch.arange(1, straight + 1).to(point.dtype).reshape(-1, *[1] * point.dim())
    moves[:straight] = lengths * direction.sign().to(point.dtype)
    unit = torch.nextafter(start.abs(), torch.full_like(start, torch.inf)) - start.abs()
    return start + moves * unit
