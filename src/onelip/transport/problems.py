"""The problems on which estimators of Wasserstein distances are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onelip.transport.sampler import check_counts
from onelip.transport.shells import SphericalShells


@dataclass(frozen=True)
class Problem:
    """Two distributions whose distance is known.

    Attributes:
        p: Where the best critic is high.
        q: Where it is low.
        exact: Their Wasserstein-1 distance.
    """

    p: SphericalShells
    q: SphericalShells
    exact: float


def absolute_value() -> Problem:
    """Make the problem on the line whose best critic is -|x|.

    Returns:
        Nearly a point at 0 against the points -1 and 1.
    """
    return _cones([[0.0]])


def three_cones() -> Problem:
    """Make the problem in the plane whose best critic is the highest of three cones.

    Returns:
        Nearly points at (-2, 0), (0, 0) and (2, 0) against the circles of radius 1 around them, which touch.
    """
    return _cones([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])


def high_dimensional_cone(dim: int = 128) -> Problem:
    """Make the problem whose best critic is -|x| in many dimensions.

    Args:
        dim: How many.

    Returns:
        Nearly a point at the origin against the unit sphere.
    """
    check_counts("high_dimensional_cone", dim=dim)
    return _cones([[0.0] * dim])


def _cones(centers: Sequence[Sequence[float]]) -> Problem:
    # The inner radius is that of the published experiments.
    inner = 1e-7
    return Problem(SphericalShells(centers, inner), SphericalShells(centers, 1.0), 1.0 - inner)
