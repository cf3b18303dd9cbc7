"""Cells that cover the torus of frequencies of trigonometric polynomials in two variables."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cells:
    """Cells of one size, by their lower corners in units of it, one of each pair that mirrors the other.

    Attributes:
        lower: (m, 3), int64: group, i, j.
        counts: (n_h, n_w), cells per turn.
        steps: (1, 2, 2), but 1 for a dimension in which A is constant.
    """

    lower: Tensor
    counts: tuple[int, int]
    steps: tuple[int, int, int]

    def codes(self, points: Tensor) -> Tensor:
        """Number points.

        Args:
            points: (..., 3), int64.

        Returns:
            (...).
        """
        _, i, j = points.unbind(-1)
        n_h, n_w = self.counts
        return (points[..., 0] * n_h + i % n_h) * n_w + j % n_w

    def points(self, codes: Tensor) -> Tensor:
        """Find the points of numbers.

        Args:
            codes: (m,), int64.

        Returns:
            (m, 3), int64.
        """
        n_h, n_w = self.counts
        return torch.stack([codes // (n_h * n_w), codes // n_w % n_h, codes % n_w], -1)

    def canonical(self, points: Tensor) -> Tensor:
        """Number points, w and -w by one number.

        Args:
            points: (..., 3), int64.

        Returns:
            (...).
        """
        mirror = points * torch.tensor([1, -1, -1])
        return torch.minimum(self.codes(points), self.codes(mirror))

    def offsets(self) -> Tensor:
        """Steps from the lower corner to each.

        Returns:
            (corners, 3), int64.
        """
        return torch.tensor(list(itertools.product(*(range(s) for s in self.steps))))

    def corners(self) -> Tensor:
        """Find the corners of the cells.

        Returns:
            (m, 4) canonical numbers; (m, 2) where A is constant in a dimension.
        """
        return self.canonical(self.lower[:, None] + self.offsets())

    def split(self) -> Cells:
        """Cut each cell into four, or two.

        Returns:
            The smaller cells.
        """
        lower = (self.lower[:, None] * torch.tensor(self.steps) + self.offsets()).flatten(0, 1)
        counts = self.counts[0] * self.steps[1], self.counts[1] * self.steps[2]
        return replace(self, lower=lower, counts=counts)


def cover(reach: tuple[int, int], groups: int, per_degree: int) -> Cells:
    """Cover half of the torus of frequencies, for each group, with cells of one size.

    Args:
        reach: (L_h, L_w), the degree of the polynomial.
        groups: Number of polynomials.
        per_degree: Cells per degree and dimension.

    Returns:
        The cells; their corners are the whole grid, one point of each pair w, -w.
    """
    counts = tuple(max(1, per_degree * degree) for degree in reach)
    steps = tuple(2 if degree else 1 for degree in reach)
    lower = torch.cartesian_prod(*(torch.arange(n) for n in (groups, *counts)))
    cells = Cells(lower, (counts[0], counts[1]), (1, steps[0], steps[1]))
    mirrored = lower * torch.tensor([1, -1, -1]) - torch.tensor([0, 1, 1])
    return replace(cells, lower=lower[cells.codes(lower) <= cells.codes(mirrored)])
