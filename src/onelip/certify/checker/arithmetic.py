"""Rounding to the safe side, on the checker's own account."""

from __future__ import annotations

import math

UNIT = 2.0**-53
"""Largest relative error of one float64 operation."""


def gamma(n: int) -> float:
    """Bound the relative error of a sum of products.

    Args:
        n: Number of roundings that an entry goes through.

    Returns:
        n u / (1 - n u), rounded up.
    """
    return math.nextafter(n * UNIT / (1 - n * UNIT), math.inf) * (1 + 4 * UNIT)


def above(x: float) -> float:
    """Step up by one float64.

    Args:
        x: A number.

    Returns:
        The next larger float64.
    """
    return math.nextafter(x, math.inf)


def times(*factors: float) -> float:
    """Multiply non-negative numbers, rounded up.

    Args:
        *factors: The numbers.

    Returns:
        At least their product; exact for ones and zeros.
    """
    if 0.0 in factors:
        return 0.0
    product = 1.0
    for factor in factors:
        product = factor if product == 1.0 else product if factor == 1.0 else above(product * factor)
    return product


def plus(*terms: float) -> float:
    """Add non-negative numbers, rounded up.

    Args:
        *terms: The numbers.

    Returns:
        At least their sum.
    """
    total = 0.0
    for term in terms:
        total = above(total + term) if total and term else total + term
    return total


def root(x: float) -> float:
    """Take a square root, rounded up.

    Args:
        x: A number >= 0.

    Returns:
        At least the root; exact for 0 and 1.
    """
    return x if x in (0.0, 1.0) else above(math.sqrt(x))
