"""Float64 arithmetic that errs to the safe side.

Every basic IEEE operation (+, *, /, sqrt) returns the exact result within half a unit in the last place, so one
step outward with `math.nextafter` bounds it, underflow included.
"""

from __future__ import annotations

import math

UNIT_ROUNDOFF = 2.0**-53
"""Half the distance between 1 and the next float64: the largest relative error of one operation."""


def up(x: float) -> float:
    """Return the next float64 above `x`.

    Args:
        x: Any float.

    Returns:
        The smallest float64 greater than `x`; inf and NaN stay as they are.
    """
    return math.nextafter(x, math.inf)


def down(x: float) -> float:
    """Return the next float64 below `x`.

    Args:
        x: Any float.

    Returns:
        The largest float64 smaller than `x`; -inf and NaN stay as they are.
    """
    return math.nextafter(x, -math.inf)


def add_up(a: float, b: float) -> float:
    """Return an upper bound of the exact `a + b`; exact when either is zero.

    Args:
        a: First summand.
        b: Second summand.

    Returns:
        A float64 >= a + b.
    """
    if a == 0.0 or b == 0.0:
        return a + b
    return up(a + b)


def multiply_up(a: float, b: float) -> float:
    """Return an upper bound of the exact `a * b`; exact when either is zero or one.

    Args:
        a: First factor.
        b: Second factor.

    Returns:
        A float64 >= a * b.
    """
    if a in (0.0, 1.0) or b in (0.0, 1.0):
        return a * b
    return up(a * b)


def divide_up(a: float, b: float) -> float:
    """Return an upper bound of the exact `a / b`.

    Args:
        a: Numerator.
        b: Denominator, not zero.

    Returns:
        A float64 >= a / b.
    """
    return a if b == 1.0 else up(a / b)


def sqrt_up(x: float) -> float:
    """Return an upper bound of the exact square root; exact for 0 and 1.

    Args:
        x: A number >= 0.

    Returns:
        A float64 >= sqrt(x).
    """
    return x if x in (0.0, 1.0) else up(math.sqrt(x))


def gamma(n: int) -> float:
    """Bound the relative error of a sum or inner product of `n` terms, in any order of summation.

    gamma_n = n u / (1 - n u) with u = 2^-53 (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).

    Args:
        n: Number of roundings, >= 0.

    Returns:
        gamma_n, rounded up.

    Raises:
        ValueError: If n u >= 1, where the bound does not hold.
    """
    nu = n * UNIT_ROUNDOFF
    if nu >= 1.0:
        raise ValueError(f"n={n} terms are too many for a float64 error bound; n must be below 2^53")
    return 0.0 if n == 0 else up(up(nu) / down(1.0 - nu))
