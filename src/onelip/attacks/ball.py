"""Geometry of the l2 ball inside a box of pixels."""

from __future__ import annotations

import torch
from torch import Tensor

_BISECTIONS = 20
"""Halvings of the multiplier in the projection: 2^-20 of its range; the point kept is the one inside."""


def row_norm(x: Tensor) -> Tensor:
    """Return the l2 norm of each sample.

    Args:
        x: (N, ...) samples.

    Returns:
        (N, 1, ..., 1) norms, shaped to broadcast against `x`.
    """
    return x.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.dim() - 1))


def random_in_ball(x: Tensor, radius: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw offsets uniformly from the l2 ball: a Gaussian direction, and radius u^(1/n).

    Args:
        x: (N, ...) samples, for shape, type and device.
        radius: (N, 1, ..., 1) radii.
        generator: Source of randomness, or None for torch's own.

    Returns:
        Offsets of the shape of `x`.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    uniform = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype).reshape(radius.shape)
    return noise / row_norm(noise).clamp_min(1e-30) * radius * uniform ** (1 / x[0].numel())


def project(x: Tensor, origin: Tensor, radius: Tensor, box: tuple[float, float]) -> Tensor:
    """Move points to their nearest ones in the ball around `origin` and in the box.

    The nearest point of both is clamp(origin + t (x - origin)) for the largest t in [0, 1] that stays in the ball
    (the optimality conditions of the projection give this form), found by bisection.

    Args:
        x: (N, ...) points.
        origin: (N, ...) centres, inside the box.
        radius: (N, 1, ..., 1) radii.
        box: Least and largest pixel value.

    Returns:
        (N, ...) points with |x - origin| <= radius, inside the box.
    """
    offset = x - origin

    def at(t: Tensor) -> Tensor:
        return (origin + t * offset).clamp(*box)

    low, high = torch.zeros_like(radius), torch.ones_like(radius)
    low = torch.where(row_norm(at(high) - origin) <= radius, high, low)
    for _ in range(_BISECTIONS):
        if bool((low == high).all()):
            break
        middle = (low + high) / 2
        inside = row_norm(at(middle) - origin) <= radius
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return at(low)
