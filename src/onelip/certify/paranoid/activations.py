"""What each activation computes, in balls. Where a ball lies on both sides of a border, both pieces are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import (
    ONE,
    Balls,
    absolute,
    both,
    choose,
    elementwise,
    exact,
    maximum,
    minimum,
    positive,
    root,
)
from onelip.certify.paranoid.errors import require
from onelip.certify.paranoid.taps import rectified


def axis_of(step: Step, x: Balls) -> int:
    """Find the axis that a step acts along.

    Args:
        step: Has `axis`, counted within a sample.
        x: `(N, ...)`.

    Returns:
        The axis of the batch.
    """
    axis = step.whole("axis") + 1
    require(axis < x.ndim, step, f"axis {axis} of input {x.shape}")
    return axis


def _along(values: Array, axis: int, x: Balls) -> Balls:
    return exact(values).reshape(*values.shape[:-1], -1, *[1] * (x.ndim - 1 - axis))


def _pairs(x: Balls, axis: int) -> list[Balls]:
    half = x.shape[axis] // 2
    return np.split(x, [half, 2 * half], axis)


def _groups(step: Step, x: Balls) -> tuple[list[Balls], int]:
    axis, size = axis_of(step, x), step.whole("group_size", 1)
    require(x.shape[axis] % size == 0, step, "group size does not divide the channels")
    split = x.reshape(*x.shape[:axis], -1, size, *x.shape[axis + 1 :])
    return [split.take(i, axis + 1) for i in range(size)], axis + 1


def maxmin(step: Step, x: Balls) -> Balls:
    """Put the maxima of channels i and i + half first, then their minima, then an odd last channel.

    Args:
        step: Has `axis`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis = axis_of(step, x)
    first, second, rest = _pairs(x, axis)
    return np.concatenate([maximum(first, second), minimum(first, second), rest], axis)


def group_sort(step: Step, x: Balls) -> Balls:
    """Sort groups of neighbouring channels, by comparing neighbours as often as there are members.

    Args:
        step: Has `axis` and `group_size`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    members, axis = _groups(step, x)
    for turn in range(len(members)):
        for i in range(turn % 2, len(members) - 1, 2):
            low, high = members[i], members[i + 1]
            members[i], members[i + 1] = minimum(low, high), maximum(low, high)
    return np.stack(members, axis).reshape(x.shape)


def maxout(step: Step, x: Balls) -> Balls:
    """Keep the largest of each group of neighbouring channels.

    Args:
        step: Has `axis` and `group_size`.
        x: `(N, ...)`.

    Returns:
        A shape with fewer channels.
    """
    members, _ = _groups(step, x)
    result = members[0]
    for member in members[1:]:
        result = maximum(result, member)
    return result


def householder(step: Step, x: Balls) -> Balls:
    """Reflect pairs of channels z by z - 2 max(0, <v, z>) v with v = (sin(angle/2), -cos(angle/2)).

    Args:
        step: Has `axis` and the array `angle`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, angle = axis_of(step, x), step.arrays["angle"]
    require(angle.shape == (x.shape[axis] // 2,) and x.shape[axis] % 2 == 0, step, f"angles {angle.shape}")
    first, second, _ = _pairs(x, axis)
    half = _along(angle, axis, x) / 2
    sine, cosine = elementwise(lambda t: t.sin(), 1)(half), elementwise(lambda t: t.cos(), 1)(half)
    along = rectified(first * sine - second * cosine) * 2
    return np.concatenate([first - along * sine, second + along * cosine], axis)


def _sector_map(p: Any, q: Any, begin: Any, first: Any, second: Any) -> tuple[Any, Any]:
    # In the frame whose first axis is the ray where the sectors begin. Folding an angle into [0, pi] keeps its cosine.
    (s, c), (sa, ca), (sb, cb) = begin.sin_cos(), first.sin_cos(), second.sin_cos()
    sa, sb = abs(sa), abs(sb)
    u, v = c * p + s * q, c * q - s * p
    upper = True if v >= 0 else False if v < 0 else None
    before, behind = positive(u * sa - v * ca), positive(u * sb - v * cb)
    kept, last = both(upper, before), both(None if upper is None else not upper, behind)
    third = positive(v * (ca * cb - sa * sb) - u * (sa * cb + ca * sb))
    # Next to the ray itself, on the side of the sectors that meet there, no other one is in question.
    only = upper is None and before is True and behind is True
    pieces = (
        (u, u, (cb * cb - sb * sb) * u + 2 * cb * sb * v, (ca * ca - sa * sa) * u + 2 * ca * sa * v),
        (v, -v, (cb * cb - sb * sb) * v - 2 * cb * sb * u, 2 * ca * sa * u - (ca * ca - sa * sa) * v),
    )
    x, y = (
        choose(kept, one, choose(True if only else last, two, choose(third, three, four)))
        for one, two, three, four in pieces
    )
    return c * x - s * y, s * x + c * y


def householder2(step: Step, x: Balls) -> Balls:
    """Apply an isometry to each of four sectors of the plane of each pair of channels.

    From the ray at half the first angle on, the sectors are a, b, pi - a and pi - b wide, with a and b half of the
    other two angles, folded into [0, pi]. They are kept, reflected at a, turned by -2 b, and reflected at 0.

    Args:
        step: Has `axis` and the array `angle`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, angle = axis_of(step, x), step.arrays["angle"]
    require(angle.shape == (3, x.shape[axis] // 2) and x.shape[axis] % 2 == 0, step, f"angles {angle.shape}")
    first, second, _ = _pairs(x, axis)
    halves = _along(angle, axis, x) / 2
    images = np.frompyfunc(_sector_map, 5, 2)(first, second, halves[0], halves[1], halves[2])
    return np.concatenate(images, axis)


def beta_abs(step: Step, x: Balls) -> Balls:
    """Take absolute values of the first channels.

    Args:
        step: Has `axis` and `count`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, count = axis_of(step, x), step.whole("count")
    first, rest = np.split(x, [count], axis)
    return np.concatenate([absolute(first), rest], axis)


def _leaky(x: Balls, slope: Balls) -> Balls:
    return elementwise(lambda v, s: choose(positive(v), v, v * s), 2)(x, slope)


def prelu(step: Step, x: Balls) -> Balls:
    """Multiply negative entries by one slope, or by one for each channel.

    Args:
        step: Has the array `slope`.
        x: `(N, C, ...)`.

    Returns:
        The same shape.
    """
    slope = step.arrays["slope"]
    require(slope.shape in ((1,), (x.shape[1],)), step, f"slope of shape {slope.shape} for input {x.shape}")
    return _leaky(x, _along(slope, 1, x))


def n_activation(step: Step, x: Balls) -> Balls:
    """Turn around at the smaller and again at the larger of two thresholds of each channel.

    Args:
        step: Has `axis` and the array `thresholds`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, thresholds = axis_of(step, x), step.arrays["thresholds"]
    require(thresholds.shape == (2, x.shape[axis]), step, f"thresholds {thresholds.shape}")

    def piece(v: Any, low: Any, high: Any) -> Any:
        return choose(positive(low - v), v - 2 * low, choose(positive(high - v), -v, v - 2 * high))

    return elementwise(piece, 3)(x, _along(thresholds.min(0), axis, x), _along(thresholds.max(0), axis, x))


def soft_huber(step: Step, x: Balls) -> Balls:
    """Smooth the absolute value: delta (sqrt(1 + (x/delta)^2) - 1).

    Args:
        step: Has `delta`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    delta = step.number("delta")
    require(delta > 0, step, f"delta {delta}")
    return elementwise(lambda v: v * v / (delta + root(v * v + ONE * delta * delta)), 1)(x)


ACTIVATIONS: dict[str, Callable[[Step, Balls], Balls]] = {
    "abs": lambda s, x: absolute(x),
    "beta_abs": beta_abs,
    "group_sort": group_sort,
    "householder": householder,
    "householder2": householder2,
    "leaky_relu": lambda s, x: _leaky(x, exact(np.array(s.number("slope")))),
    "maxmin": maxmin,
    "maxout": maxout,
    "n_activation": n_activation,
    "prelu": prelu,
    "relu": lambda s, x: rectified(x),
    "soft_huber": soft_huber,
}
"""Activations by name. All but `leaky_relu` and `prelu` are 1-Lipschitz whatever their numbers are."""
