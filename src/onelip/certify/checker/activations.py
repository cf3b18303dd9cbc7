"""What each activation computes, in float64 with NumPy, and a bound of the rounding error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onelip.certify.checker.arithmetic import gamma
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.operations import LARGEST_FACTOR, Result, axis_of, exact, norms, require, rounded


def _along(values: Array, axis: int, x: Array) -> Array:
    # One number for each entry of the axis, or a row of them in front.
    return values.reshape(*values.shape[:-1], -1, *[1] * (x.ndim - 1 - axis))


def _halves(x: Array, axis: int) -> tuple[Array, Array, Array]:
    half = x.shape[axis] // 2
    first, second, rest = np.split(x, [half, 2 * half], axis)
    return first, second, rest


def _groups(step: Step, x: Array) -> tuple[Array, int]:
    axis, size = axis_of(step, x), step.whole("group_size", 1)
    require(x.shape[axis] % size == 0, step, "group size does not divide the channels")
    return x.reshape(*x.shape[:axis], x.shape[axis] // size, size, *x.shape[axis + 1 :]), axis + 1


def maxmin(step: Step, x: Array) -> Result:
    """Put the maxima of channels i and i + half first, then their minima, then an odd last channel.

    Args:
        step: Has `axis`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis = axis_of(step, x)
    first, second, rest = _halves(x, axis)
    return exact(np.concatenate([np.maximum(first, second), np.minimum(first, second), rest], axis))


def group_sort(step: Step, x: Array) -> Result:
    """Sort groups of neighbouring channels.

    Args:
        step: Has `axis` and `group_size`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    groups, axis = _groups(step, x)
    return exact(np.sort(groups, axis).reshape(x.shape))


def householder(step: Step, x: Array) -> Result:
    """Reflect pairs of channels z by z - 2 max(0, <v, z>) v with v = (sin(angle/2), -cos(angle/2)).

    Args:
        step: Has `axis` and the array `angle`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, angle = axis_of(step, x), step.arrays["angle"]
    require(angle.shape == (x.shape[axis] // 2,) and x.shape[axis] % 2 == 0, step, f"angles {angle.shape}")
    first, second, _ = _halves(x, axis)
    half = _along(angle, axis, x) / 2
    sine, cosine = np.sin(half), np.cos(half)
    along = 2 * np.maximum(first * sine - second * cosine, 0)
    y = np.concatenate([first - along * sine, second + along * cosine], axis)
    return y, norms(x) * gamma(64)


def maxout(step: Step, x: Array) -> Result:
    """Keep the largest of each group of neighbouring channels.

    Args:
        step: Has `axis` and `group_size`.
        x: `(N, ...)`.

    Returns:
        A shape with fewer channels.
    """
    groups, axis = _groups(step, x)
    return exact(groups.max(axis))


def beta_abs(step: Step, x: Array) -> Result:
    """Take absolute values of the first channels.

    Args:
        step: Has `axis` and `count`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, count = axis_of(step, x), step.whole("count")
    require(count <= x.shape[axis], step, f"count {count} of input {x.shape}")
    first, rest = np.split(x, [count], axis)
    return exact(np.concatenate([np.abs(first), rest], axis))


def prelu(step: Step, x: Array) -> Result:
    """Multiply negative entries by one slope, or by one for each channel.

    Args:
        step: Has the array `slope`.
        x: `(N, C, ...)`.

    Returns:
        The same shape.
    """
    slope = step.arrays["slope"]
    require(slope.shape in ((1,), (x.shape[1],)), step, f"slope of shape {slope.shape} for input {x.shape}")
    return rounded(np.where(x > 0, x, x * _along(slope, 1, x)), 1)


def n_activation(step: Step, x: Array) -> Result:
    """Turn around at the smaller and again at the larger of two thresholds of each channel.

    Args:
        step: Has `axis` and the array `thresholds`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, thresholds = axis_of(step, x), step.arrays["thresholds"]
    require(thresholds.shape == (2, x.shape[axis]), step, f"thresholds {thresholds.shape}")
    low, high = _along(thresholds.min(0), axis, x), _along(thresholds.max(0), axis, x)
    return rounded(np.where(x < low, x - 2 * low, np.where(x < high, -x, x - 2 * high)), 1)


def soft_huber(step: Step, x: Array) -> Result:
    """Smooth the absolute value: delta (sqrt(1 + (x/delta)^2) - 1).

    Args:
        step: Has `delta`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    delta = step.number("delta")
    # Beyond, sums overflow, and quotients by them vanish.
    require(0 < delta <= LARGEST_FACTOR, step, f"delta {delta}")
    return rounded(x * (x / (delta + np.hypot(x, delta))), 8)


def householder2(step: Step, x: Array) -> Result:
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
    first, second, _ = _halves(x, axis)
    (c, ca, cb), (s, sa, sb) = (f(_along(angle, axis, x) / 2) for f in (np.cos, np.sin))
    sa, sb = np.abs(sa), np.abs(sb)
    u, v = c * first + s * second, c * second - s * first
    sectors = [
        (v >= 0) & (u * sa > v * ca),
        (v < 0) & (u * sb >= v * cb),
        v * (ca * cb - sa * sb) >= u * (sa * cb + ca * sb),
    ]
    cosine, sine = ca * ca - sa * sa, 2 * ca * sa
    turn, shear = cb * cb - sb * sb, 2 * cb * sb
    p = np.select(sectors, [u, u, turn * u + shear * v], cosine * u + sine * v)
    q = np.select(sectors, [v, -v, turn * v - shear * u], sine * u - cosine * v)
    y = np.concatenate([c * p - s * q, s * p + c * q], axis)
    # Within 50 units in each piece, and within 120 where a sector is mistaken next to its border.
    return y, norms(x) * gamma(256)


ACTIVATIONS: dict[str, Callable[[Step, Array], Result]] = {
    "abs": lambda s, x: exact(np.abs(x)),
    "beta_abs": beta_abs,
    "group_sort": group_sort,
    "householder": householder,
    "householder2": householder2,
    "leaky_relu": lambda s, x: rounded(np.where(x > 0, x, x * s.number("slope")), 1),
    "maxmin": maxmin,
    "maxout": maxout,
    "n_activation": n_activation,
    "prelu": prelu,
    "relu": lambda s, x: exact(np.maximum(x, 0)),
    "soft_huber": soft_huber,
}
"""Activations by name."""
