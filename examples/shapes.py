"""Shapes of the plane with their exact signed distance functions, in closed form."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

Vertex = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A union of discs and polygons whose interiors are disjoint.

    Attributes:
        discs: Centre and radius of each, (x, y, radius).
        polygons: Corners of each in order, without a crossing of its sides.
    """

    discs: tuple[tuple[float, float, float], ...] = ()
    polygons: tuple[tuple[Vertex, ...], ...] = ()

    def distance(self, points: Tensor) -> Tensor:
        """Compute the signed distance to the boundary, negative inside.

        The minimum over the parts is exact on both sides: from inside one part the way to another leads through the
        boundary of the first.

        Args:
            points: (N, 2), floating point.

        Returns:
            (N,).
        """
        parts = [(points - points.new_tensor(disc[:2])).norm(dim=1) - disc[2] for disc in self.discs]
        return torch.stack(parts + [_to_polygon(points, corners) for corners in self.polygons]).amin(0)

    def boundary(self, spacing: float) -> Tensor:
        """List points of the boundary so that every other one is within half of `spacing` of one of them.

        Args:
            spacing: Of neighbours along the boundary.

        Returns:
            (N, 2) float64.
        """
        found = []
        for x, y, radius in self.discs:
            n = math.ceil(2 * math.pi * radius / spacing)
            angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
            found.append(
                radius * torch.stack([angle.cos(), angle.sin()], 1) + torch.tensor([x, y], dtype=torch.float64)
            )
        for corners in self.polygons:
            ends = torch.tensor([*corners, corners[0]], dtype=torch.float64)
            for start, end in itertools.pairwise(ends):
                n = math.ceil(float((end - start).norm()) / spacing)
                share = torch.arange(n, dtype=torch.float64)[:, None] / n
                found.append((1 - share) * start + share * end)
        return torch.cat(found)


def _to_polygon(points: Tensor, corners: tuple[Vertex, ...]) -> Tensor:
    start = points.new_tensor(corners)
    side = start.roll(-1, 0) - start
    away = points[:, None] - start
    share = ((away * side).sum(-1) / side.square().sum(-1)).clamp(0, 1)
    distance = (away - share[..., None] * side).norm(dim=-1).amin(1)
    # A ray to the right crosses the boundary an odd number of times from inside.
    height = points[:, None, 1]
    spans = (start[:, 1] <= height) != (start.roll(-1, 0)[:, 1] <= height)
    # Level sides are never spanned.
    slope = side[:, 0] / torch.where(side[:, 1] == 0, 1, side[:, 1])
    crossings = spans & (points[:, None, 0] < start[:, 0] + (height - start[:, 1]) * slope)
    return torch.where(crossings.sum(1) % 2 == 1, -distance, distance)


def star(points: int = 5, outer: float = 1.2, inner: float = 0.55) -> tuple[Vertex, ...]:
    """List the corners of a star about the origin, upright.

    Args:
        points: How many it has.
        outer: Distance of its points from the origin.
        inner: Distance of the corners between them.

    Returns:
        The corners.
    """
    angles = [math.pi * (0.5 + k / points) for k in range(2 * points)]
    radii = (outer, inner) * points
    return tuple((r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


def box(left: float, bottom: float, right: float, top: float) -> tuple[Vertex, ...]:
    """List the corners of a rectangle.

    Args:
        left: Smallest x.
        bottom: Smallest y.
        right: Largest x.
        top: Largest y.

    Returns:
        The corners.
    """
    return ((left, bottom), (right, bottom), (right, top), (left, top))


SHAPES = {
    "circle": Shape(discs=((0.0, 0.0, 1.0),)),
    "box": Shape(polygons=(box(-1.2, -0.7, 1.2, 0.7),)),
    "union": Shape(discs=((-0.9, 0.5, 0.6), (0.3, -1.0, 0.4)), polygons=(box(0.2, -0.1, 1.4, 1.2),)),
    "star": Shape(polygons=(star(),)),
}
"""By name; all fit into the square from -1.5 to 1.5."""
