"""How far means of samples may be from means of distributions."""

from __future__ import annotations

import math
from statistics import NormalDist


def check_level(level: float, where: str) -> None:
    """Refuse what is no level of confidence.

    Args:
        level: A probability.
        where: Function that the user called.

    Raises:
        ValueError: It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} in {where} must be between 0 and 1, both excluded")


def normal_quantile(level: float) -> float:
    """Compute the half width of the interval that has a share of the standard normal distribution.

    Args:
        level: The share, in (0, 1).

    Returns:
        In standard deviations.
    """
    return NormalDist().inv_cdf(0.5 + level / 2)


def empirical_bernstein(variance: float, n: int, spread: float, risk: float) -> float:
    """Compute how far the mean of n independent samples may be on one side of the expectation, for any distribution.

    `sqrt(2 V log(2 / risk) / n) + 7 s log(2 / risk) / (3 (n - 1))`: with probability at least 1 - risk the expectation
    is at most so much below the mean; and, with the same probability, at most so much above it.

    Args:
        variance: V, of the samples, with the divisor n - 1.
        n: At least 2.
        spread: s, the length of an interval that has all values.
        risk: In (0, 1).

    Returns:
        The deviation, at least 0.

    Raises:
        ValueError: An argument is out of range.

    Paper: Maurer and Pontil 2009, arXiv:0907.3740, theorem 4, for values in an interval of any length.
    """
    if n < 2 or not 0 <= spread < math.inf or not 0 < risk < 1:
        raise ValueError(
            f"n={n}, spread={spread} and risk={risk} in empirical_bernstein: at least 2, finite, in (0, 1)"
        )
    log = math.log(2 / risk)
    return math.sqrt(2 * variance * log / n) + 7 * spread * log / (3 * (n - 1))
