"""Chains of matrices and activations, and the ellipsoids of the changes that they pass on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.linalg.ellipsoids import Ellipsoid, kept_image, linear_image, scaled_image, slope_image


@dataclass(frozen=True, eq=False)
class Matrix:
    """Multiplication by a matrix.

    Attributes:
        weight: `(m, n)` float64, finite.
    """

    weight: Tensor


@dataclass(frozen=True, eq=False)
class Factors:
    """Multiplication of each entry by a number.

    Attributes:
        values: `(n,)` float64, finite.
        roundings: How often each was rounded.
    """

    values: Tensor
    roundings: int


@dataclass(frozen=True, eq=False)
class Slopes:
    """An activation that turns a change z into m z + w, where w is at most as long as r z in each group.

    Attributes:
        middle: `(n,)` m, float64.
        spread: `(n,)` r >= 0.
        groups: `(n,)` int64, number of the group of each entry; entries by themselves have groups of their own.
    """

    middle: Tensor
    spread: Tensor
    groups: Tensor


@dataclass(frozen=True)
class Keep:
    """A range of the entries.

    Attributes:
        start: First entry kept.
        stop: First entry behind them.
    """

    start: int
    stop: int


Link = Matrix | Factors | Slopes | Keep


def chain_image(links: Sequence[Link], radii: Sequence[Tensor]) -> Ellipsoid | None:
    """Cover all changes of a chain's output for changes of its input within the unit ball.

    Args:
        links: The chain; the first is a matrix.
        radii: `(n,)` for each activation in turn, positive and constant within groups.

    Returns:
        The ellipsoid, proved; None if the radii prove nothing.

    Raises:
        ValueError: If the first link is not a matrix.
    """
    if not isinstance(links[0], Matrix):
        raise ValueError("links[0] in chain_image must be a Matrix")
    before: Ellipsoid | None = linear_image(links[0].weight, None)
    remaining = iter(radii)
    for link in links[1:]:
        if before is None:
            return None
        if isinstance(link, Matrix):
            before = linear_image(link.weight, before)
        elif isinstance(link, Slopes):
            before = slope_image(link.middle, link.spread, _tied(next(remaining), link.groups), before)
        elif isinstance(link, Factors):
            before = scaled_image(link.values, link.roundings, before)
        else:
            before = kept_image(link.start, link.stop, before)
    return before


def _tied(radii: Tensor, groups: Tensor) -> Tensor:
    # Constant within groups, whatever was given.
    largest = torch.zeros(int(groups.max()) + 1, dtype=radii.dtype)
    return largest.scatter_reduce(0, groups, radii, "amax")[groups]
