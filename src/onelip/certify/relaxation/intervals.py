"""Boxes that enclose the values of a network, rounded outward."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.certify.values import SLACK, TINY


@dataclass(frozen=True, eq=False)
class Interval:
    """Bounds of every entry of a value, over a region of inputs.

    Attributes:
        lower: `(N, ...)` float64; at most the true entries.
        upper: `(N, ...)` float64; at least the true entries.
    """

    lower: Tensor
    upper: Tensor

    @property
    def size(self) -> Tensor:
        """The largest absolute value inside, `(N, ...)`; exact."""
        return torch.maximum(self.lower.abs(), self.upper.abs())

    @property
    def centre(self) -> Tensor:
        """A point inside, about in the middle, `(N, ...)`."""
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        """The distance from `centre` within which everything inside is, `(N, ...)`; rounded up."""
        return torch.maximum(self.upper - self.centre, self.centre - self.lower) * SLACK + TINY

    def intersect(self, other: Interval) -> Interval:
        """Combine two enclosures of the same values.

        Args:
            other: The other one; where a bound of it is NaN, it says nothing.

        Returns:
            The tighter bound on each side.
        """
        return Interval(
            torch.where(other.lower > self.lower, other.lower, self.lower),
            torch.where(other.upper < self.upper, other.upper, self.upper),
        )

    def widened(self, error: Tensor) -> Interval:
        """Allow for rounding errors.

        Args:
            error: `(N, ...)` what each entry may be off by, the rounding of this very step included.

        Returns:
            The interval, wider by that on each side.
        """
        return Interval(self.lower - error, self.upper + error)


def around(centre: Tensor, radius: Tensor) -> Interval:
    """Enclose everything within a distance of a point, entry by entry.

    Args:
        centre: `(N, ...)`.
        radius: `(N, ...)`, or of a shape that broadcasts to it; at least 0.

    Returns:
        The interval, rounded outward.
    """
    # The sum is off by at most 2^-53 of its size.
    wide = radius * SLACK + centre.abs() * 2.0**-52 + TINY
    return Interval(centre - wide, centre + wide)
