"""Copies and sums of entries, products and quotients with stored numbers, in balls; and their constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import ONE, Balls, absolute, exact, full, largest, root
from onelip.certify.paranoid.errors import require
from onelip.certify.paranoid.taps import Indices

Shape = tuple[int, ...]


def axes_of(step: Step, shape: Shape) -> list[int]:
    """Find the axes that a step acts along, one after the other.

    Args:
        step: Has `axes`, counted within a sample.
        shape: Of a batch.

    Returns:
        The axes of the batch.
    """
    axes = [a + 1 for a in step.wholes("axes", 0)]
    require(0 < len(axes) == len(set(axes)) and max(axes) < len(shape), step, f"axes {axes} of input {shape}")
    return axes


def _places(step: Step, shape: Shape) -> list[tuple[int, Indices]]:
    axes, lists = axes_of(step, shape), step.attributes["indices"]
    require(isinstance(lists, list) and len(lists) == len(axes), step, "places")
    found = []
    for axis, places in zip(axes, lists, strict=True):
        fits = isinstance(places, list) and all(type(p) is int and -1 <= p < shape[axis] for p in places)
        require(fits and len(places) > 0, step, f"places along axis {axis} of input {shape}")
        found.append((axis, np.array(places, dtype=np.int64)))
    return found


def _copied(x: Balls, places: Indices, axis: int, fill: Any) -> Balls:
    # One entry more, which -1 finds at the end.
    ends = full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), fill)
    return np.concatenate([x, ends], axis).take(places, axis)


def gather(step: Step, x: Balls) -> Balls:
    """Copy along axes, one by one; where the place is -1, write a constant.

    Args:
        step: Has `axes`, `indices` and `fill`.
        x: `(N, ...)`.

    Returns:
        `(N, ...)`.
    """
    for axis, places in _places(step, x.shape):
        x = _copied(x, places, axis, arb(step.number("fill")))
    return x


def _index(step: Step, count: int, limit: int) -> Indices:
    index = step.arrays["index"]
    require(index.shape == (count,), step, f"index of shape {index.shape} for {count} entries")
    whole = index.astype(np.int64)
    require(bool(((whole == index) & (whole >= -1) & (whole < limit)).all()), step, f"entries beyond {limit}")
    return whole


def take(step: Step, x: Balls) -> Balls:
    """Copy entries, counted in order; where the index is -1, write a constant.

    Args:
        step: Has `shape`, `fill` and the array `index`.
        x: `(N, ...)`.

    Returns:
        `(N, *shape)`.
    """
    shape, flat = step.wholes("shape", 1), x.reshape(len(x), -1)
    index = _index(step, math.prod(shape), flat.shape[1])
    return _copied(flat, index, 1, arb(step.number("fill"))).reshape(len(x), *shape)


def put(step: Step, x: Balls) -> Balls:
    """Add entries to entries of the output, or drop those whose index is -1.

    Args:
        step: Has `shape` and the array `index`.
        x: `(N, ...)`.

    Returns:
        `(N, *shape)`.
    """
    shape, flat = step.wholes("shape", 1), x.reshape(len(x), -1)
    index = _index(step, flat.shape[1], math.prod(shape))
    result = full((len(x), math.prod(shape)))
    for place, target in enumerate(index.tolist()):
        if target >= 0:
            result[:, target] += flat[:, place]
    return result.reshape(len(x), *shape)


def _most(index: Indices) -> int:
    return max(np.unique(index[index >= 0], return_counts=True)[1].tolist(), default=0)


def gather_copies(step: Step, shape: Shape) -> int:
    """Count how often `gather` copies an entry, at most: the square of its norm.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The number.
    """
    return math.prod(_most(places) for _, places in _places(step, shape))


def put_terms(step: Step, shape: Shape) -> int:
    """Count how many entries `put` adds up, at most: the square of its norm, and its norm in l_inf.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The number.
    """
    return _most(_index(step, math.prod(shape[1:]), math.prod(step.wholes("shape", 1))))


def take_copies(step: Step, shape: Shape) -> int:
    """Count how often `take` copies an entry, at most: the square of its norm.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The number.
    """
    return _most(_index(step, math.prod(step.wholes("shape", 1)), math.prod(shape[1:])))


def _value(step: Step, shape: Shape) -> Array:
    value = step.arrays["value"]
    fits = value.ndim == len(shape) - 1 and all(m in (1, n) for m, n in zip(value.shape, shape[1:], strict=True))
    require(fits, step, f"value of shape {value.shape} for input {shape}")
    return value


def multiply(step: Step, x: Balls) -> Balls:
    """Multiply by stored numbers.

    Args:
        step: Has the array `value`, which broadcasts.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    result: Balls = x * exact(_value(step, x.shape))
    return result


def divide(step: Step, x: Balls) -> Balls:
    """Divide by stored numbers.

    Args:
        step: Has the array `value`, which broadcasts.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    value = _value(step, x.shape)
    require(bool((value != 0).all()), step, "it divides by zero")
    result: Balls = x / exact(value)
    return result


COPIES: dict[str, Callable[[Step, Balls], Balls]] = {
    "divide": divide,
    "gather": gather,
    "multiply": multiply,
    "put": put,
    "take": take,
}
"""Operations by name."""

COPY_CONSTANTS: dict[str, Callable[[Step, Shape], Any]] = {
    "divide": lambda step, shape: largest(ONE / absolute(exact(_value(step, shape)))),
    "gather": lambda step, shape: root(arb(gather_copies(step, shape))),
    "multiply": lambda step, shape: largest(absolute(exact(_value(step, shape)))),
    "put": lambda step, shape: root(arb(put_terms(step, shape))),
    "take": lambda step, shape: root(arb(take_copies(step, shape))),
}
"""Their constants."""
