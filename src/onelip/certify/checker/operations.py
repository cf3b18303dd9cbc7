"""What each operation that is not affine computes, in float64 with NumPy, and a bound of the rounding error.

Every function takes a step and its inputs `(N, ...)` and returns the output with `(N,)` bounds of the l2 norm of the
rounding error made in this step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onelip.certify.checker.arithmetic import gamma
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Array, Step

SLACK = 1 + 1e-9
"""Covers the rounding in the error bounds themselves."""

Result = tuple[Array, Array]


def require(condition: bool, step: Step, what: str) -> None:
    """Refuse a step whose shapes or options do not fit.

    Args:
        condition: What must hold.
        step: The step.
        what: The complaint.

    Raises:
        VerificationError: If it does not hold.
    """
    if not condition:
        raise VerificationError(f"{step.op} {step.name!r} does not fit: {what}")


def norms(x: Array) -> Array:
    """Take the l2 norm of each sample, rounded up.

    Args:
        x: `(N, ...)`.

    Returns:
        `(N,)`.
    """
    result: Array = np.sqrt((x.reshape(len(x), -1) ** 2).sum(1)) * SLACK
    return result


def exact(y: Array) -> Result:
    """Say that an output was copied, not computed.

    Args:
        y: `(N, ...)`.

    Returns:
        It, with no error.
    """
    return y, np.zeros(len(y))


def rounded(y: Array, roundings: int) -> Result:
    """Say that each entry of an output was rounded a few times.

    Args:
        y: `(N, ...)`.
        roundings: How often.

    Returns:
        It, with its error.
    """
    return y, norms(y) * gamma(roundings + 1)


def _axis(step: Step, x: Array) -> int:
    axis = step.whole("axis") + 1
    require(axis < x.ndim, step, f"axis {axis} of input {x.shape}")
    return axis


def _halves(x: Array, axis: int) -> tuple[Array, Array, Array]:
    half = x.shape[axis] // 2
    first, second, rest = np.split(x, [half, 2 * half], axis)
    return first, second, rest


def maxmin(step: Step, x: Array) -> Result:
    """Put the maxima of channels i and i + half first, then their minima, then an odd last channel.

    Args:
        step: Has `axis`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis = _axis(step, x)
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
    axis, size = _axis(step, x), step.whole("group_size", 1)
    require(x.shape[axis] % size == 0, step, "group size does not divide the channels")
    shape = (*x.shape[:axis], x.shape[axis] // size, size, *x.shape[axis + 1 :])
    return exact(np.sort(x.reshape(shape), axis + 1).reshape(x.shape))


def householder(step: Step, x: Array) -> Result:
    """Reflect pairs of channels z by z - 2 max(0, <v, z>) v with v = (sin(angle/2), -cos(angle/2)).

    Args:
        step: Has `axis` and the array `angle`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, angle = _axis(step, x), step.arrays["angle"]
    require(angle.shape == (x.shape[axis] // 2,) and x.shape[axis] % 2 == 0, step, f"angles {angle.shape}")
    first, second, _ = _halves(x, axis)
    half = angle.reshape(-1, *[1] * (x.ndim - 1 - axis)) / 2
    sine, cosine = np.sin(half), np.cos(half)
    along = 2 * np.maximum(first * sine - second * cosine, 0)
    y = np.concatenate([first - along * sine, second + along * cosine], axis)
    return y, norms(x) * gamma(64)


def pixel_unshuffle(step: Step, x: Array) -> Result:
    """Move blocks of pixels into channels.

    Args:
        step: Has `block`.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C h w, H/h, W/w)`.
    """
    h, w = step.wholes("block", 1, 2)
    n, c, height, width = x.shape
    y = x.reshape(n, c, height // h, h, width // w, w).transpose(0, 1, 3, 5, 2, 4)
    return exact(y.reshape(n, c * h * w, height // h, width // w))


def pixel_shuffle(step: Step, x: Array) -> Result:
    """Move channels into blocks of pixels.

    Args:
        step: Has `block`.
        x: `(N, C h w, H, W)`.

    Returns:
        `(N, C, H h, W w)`.
    """
    h, w = step.wholes("block", 1, 2)
    n, c, height, width = x.shape
    y = x.reshape(n, c // (h * w), h, w, height, width).transpose(0, 1, 4, 2, 5, 3)
    return exact(y.reshape(n, c // (h * w), height * h, width * w))


def channel_pad(step: Step, x: Array) -> Result:
    """Append zero channels.

    Args:
        step: Has `channels`.
        x: `(N, C, ...)`.

    Returns:
        `(N, channels, ...)`.
    """
    missing = step.whole("channels", 1) - x.shape[1]
    require(missing >= 0, step, f"fewer channels than input {x.shape}")
    return exact(np.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2)))


def zero_pad2d(step: Step, x: Array) -> Result:
    """Put zeros around images, or crop them where a number is negative.

    Args:
        step: Has `pads`.
        x: `(N, C, H, W)`.

    Returns:
        Images of another size.
    """
    top, bottom, left, right = step.wholes("pads", -x.size, 4)
    require(x.ndim == 4, step, f"input {x.shape}")
    cropped = x[:, :, max(0, -top) : x.shape[2] - max(0, -bottom), max(0, -left) : x.shape[3] - max(0, -right)]
    require(cropped.size > 0, step, "it crops everything")
    sides = (max(0, top), max(0, bottom)), (max(0, left), max(0, right))
    return exact(np.pad(cropped, ((0, 0), (0, 0), *sides)))


def cut(step: Step, x: Array) -> Result:
    """Keep a range of one axis.

    Args:
        step: Has `axis`, `start` and `stop`.
        x: `(N, ...)`.

    Returns:
        A part of it.
    """
    axis, start, stop = _axis(step, x), step.whole("start"), step.whole("stop")
    require(start < stop <= x.shape[axis], step, f"range {start}:{stop} of input {x.shape}")
    return exact(x[(slice(None),) * axis + (slice(start, stop),)])


def reshape(step: Step, x: Array) -> Result:
    """Arrange the entries of each sample in another shape.

    Args:
        step: Has `shape`.
        x: `(N, ...)`.

    Returns:
        `(N, *shape)`.
    """
    shape = step.wholes("shape", 1)
    require(math.prod(shape) == x[0].size, step, f"shape {shape} for input {x.shape}")
    return exact(x.reshape(len(x), *shape))


def permute(step: Step, x: Array) -> Result:
    """Reorder the axes of each sample.

    Args:
        step: Has `axes`.
        x: `(N, ...)`.

    Returns:
        The same entries.
    """
    axes = step.wholes("axes", 0)
    require(sorted(axes) == list(range(x.ndim - 1)), step, f"axes {axes} of input {x.shape}")
    return exact(x.transpose(0, *[a + 1 for a in axes]))


def _channels(step: Step, role: str, x: Array) -> Array:
    values = step.arrays[role]
    require(values.shape == (x.shape[1],), step, f"{role} of shape {values.shape} for input {x.shape}")
    return values.reshape(-1, *[1] * (x.ndim - 2))


def normalize(step: Step, x: Array) -> Result:
    """Apply (x - mean) / std to each channel.

    Args:
        step: Has the arrays `mean` and `std`.
        x: `(N, C, ...)`.

    Returns:
        The same shape.
    """
    return rounded((x - _channels(step, "mean", x)) / _channels(step, "std", x), 2)


def batch_norm(step: Step, x: Array) -> Result:
    """Apply weight (x - mean) / sqrt(variance + eps) + bias to each channel.

    Args:
        step: Has `eps` and the arrays `mean` and `variance`, and perhaps `weight` and `bias`.
        x: `(N, C, ...)`.

    Returns:
        The same shape.
    """
    y = (x - _channels(step, "mean", x)) / np.sqrt(_channels(step, "variance", x) + step.number("eps"))
    if "weight" in step.arrays:
        y = y * _channels(step, "weight", x)
    y, error = rounded(y, 7)
    if "bias" in step.arrays:
        y, last = rounded(y + _channels(step, "bias", x), 1)
        error = error + last
    return y, error


def shift(step: Step, x: Array) -> Result:
    """Add stored numbers.

    Args:
        step: Has the array `value`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    value = step.arrays["value"]
    require(value.shape == x.shape[1:], step, f"value of shape {value.shape} for input {x.shape}")
    return rounded(x + value, 1)


RULES: dict[str, Callable[[Step, Array], Result]] = {
    "abs": lambda s, x: exact(np.abs(x)),
    "batch_norm": batch_norm,
    "channel_pad": channel_pad,
    "group_sort": group_sort,
    "householder": householder,
    "leaky_relu": lambda s, x: rounded(np.where(x > 0, x, x * s.number("slope")), 1),
    "maxmin": maxmin,
    "normalize": normalize,
    "permute": permute,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "relu": lambda s, x: exact(np.maximum(x, 0)),
    "reshape": reshape,
    "scale": lambda s, x: rounded(x * s.number("factor"), 1),
    "shift": shift,
    "slice": cut,
    "zero_pad2d": zero_pad2d,
}
"""Operations of one input."""


def _same_shapes(step: Step, values: list[Array]) -> None:
    require(all(v.shape == values[0].shape for v in values), step, "inputs of different shapes")


def add(step: Step, values: list[Array]) -> Result:
    """Add signals.

    Args:
        step: The step.
        values: Two or more `(N, ...)` of one shape.

    Returns:
        Their sum.
    """
    _same_shapes(step, values)
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total, np.sum([norms(v) for v in values], axis=0) * gamma(len(values) + 1)


def subtract(step: Step, values: list[Array]) -> Result:
    """Subtract one signal from another.

    Args:
        step: The step.
        values: Two `(N, ...)` of one shape.

    Returns:
        Their difference.
    """
    _same_shapes(step, values)
    require(len(values) == 2, step, "it takes two inputs")
    return rounded(values[0] - values[1], 1)


def concatenate(step: Step, values: list[Array]) -> Result:
    """Concatenate signals along an axis of the samples.

    Args:
        step: Has `axis`.
        values: `(N, ...)` each.

    Returns:
        The concatenation.
    """
    return exact(np.concatenate(values, _axis(step, values[0])))


JOINS: dict[str, Callable[[Step, list[Array]], Result]] = {
    "add": add,
    "concatenate": concatenate,
    "subtract": subtract,
}
"""Operations of several inputs."""
