"""Arrays of balls: NumPy arrays of objects, each an interval that is sure to hold the real number it stands for.

A float64 becomes a ball of radius zero, and every operation returns a ball that holds all results for all numbers in
its arguments. A comparison is true only if it holds for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

Balls = npt.NDArray[Any]

ZERO, ONE = arb(0), arb(1)

PRECISION = 128
"""Bits of the midpoints."""


def collect(items: list[Any], shape: tuple[int, ...]) -> Balls:
    """Arrange balls in an array.

    Args:
        items: As many as the shape has entries.
        shape: The shape.

    Returns:
        The array.
    """
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


def exact(values: npt.ArrayLike) -> Balls:
    """Turn float64 numbers into balls of radius zero.

    Args:
        values: Any shape.

    Returns:
        The same shape.
    """
    numbers = np.asarray(values, dtype=np.float64)
    return collect([arb(v) for v in numbers.ravel().tolist()], numbers.shape)


def full(shape: tuple[int, ...], value: Any = ZERO) -> Balls:
    """Repeat a ball.

    Args:
        shape: The shape.
        value: The ball.

    Returns:
        The array.
    """
    array = np.empty(shape, dtype=object)
    array.fill(value)
    return array


def matrix(values: Balls) -> Any:
    """Make a matrix that is fast to multiply.

    Args:
        values: `(m, n)`.

    Returns:
        An `arb_mat`.
    """
    rows, columns = values.shape
    return arb_mat(rows, columns, values.ravel().tolist())


def product(a: Balls, b: Balls) -> Balls:
    """Multiply matrices.

    Args:
        a: `(m, k)`.
        b: `(k, n)`.

    Returns:
        `(m, n)`.
    """
    if a.shape[1] == 0:
        return full((a.shape[0], b.shape[1]))
    return collect((matrix(a) * matrix(b)).entries(), (a.shape[0], b.shape[1]))


def elementwise(function: Callable[..., Any], arguments: int) -> Callable[..., Balls]:
    """Apply a function of balls to arrays of them.

    Args:
        function: Takes balls and returns one.
        arguments: How many it takes.

    Returns:
        A function of arrays that broadcasts.
    """
    return np.frompyfunc(function, arguments, 1)


maximum = elementwise(lambda a, b: a.max(b), 2)
"""The larger of two, entry by entry."""

minimum = elementwise(lambda a, b: a.min(b), 2)
"""The smaller of two, entry by entry."""

absolute = elementwise(abs, 1)
"""Absolute values."""

square_root = elementwise(lambda a: a.nonnegative_part().sqrt(), 1)
"""Square roots of numbers that are known not to be negative."""


def largest(values: Balls) -> Any:
    """Find the largest of many.

    Args:
        values: Any shape, not empty.

    Returns:
        A ball.
    """
    result = values.flat[0]
    for value in values.flat:
        result = result.max(value)
    return result


def total(values: Balls) -> Any:
    """Add up many.

    Args:
        values: Any shape.

    Returns:
        A ball.
    """
    return sum(values.ravel().tolist(), ZERO)


def root(value: Any) -> Any:
    """Take a square root of a number that is known not to be negative.

    Args:
        value: A ball.

    Returns:
        A ball.
    """
    return value.nonnegative_part().sqrt()


def choose(condition: bool | None, yes: Any, no: Any) -> Any:
    """Take one of two, or both where it is not known which.

    Args:
        condition: True, False or None for not known.
        yes: A ball.
        no: A ball.

    Returns:
        A ball.
    """
    if condition is None:
        return yes.union(no)
    return yes if condition else no


def positive(value: Any) -> bool | None:
    """Say whether a number is greater than zero.

    Args:
        value: A ball.

    Returns:
        True or False if certain, else None.
    """
    return True if value > 0 else False if value <= 0 else None


def both(first: bool | None, second: bool | None) -> bool | None:
    """Join two conditions.

    Args:
        first: A condition.
        second: Another one.

    Returns:
        True or False if certain, else None.
    """
    if first is False or second is False:
        return False
    return None if first is None or second is None else True
