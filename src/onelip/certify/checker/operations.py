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

LARGEST_FACTOR = 2.0**200
"""What stored numbers that multiply intermediate results of a step may be: of these, some may have underflowed."""

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


def axis_of(step: Step, x: Array) -> int:
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


def channel_shuffle(step: Step, x: Array) -> Result:
    """Exchange the two outer of three factors of an axis: groups, parts of a group, channels of a part.

    Args:
        step: Has `axis` and the first two factors in `groups`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis, groups = axis_of(step, x), step.wholes("groups", 1, 2)
    require(x.shape[axis] % math.prod(groups) == 0, step, f"groups {groups} of input {x.shape}")
    parts = x.reshape(*x.shape[:axis], *groups, -1, *x.shape[axis + 1 :])
    return exact(parts.swapaxes(axis, axis + 1).reshape(x.shape))


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
    axis, start, stop = axis_of(step, x), step.whole("start"), step.whole("stop")
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
    mean, scale = _channels(step, "mean", x), 1 / np.sqrt(_channels(step, "variance", x) + step.number("eps"))
    if "weight" in step.arrays:
        scale = scale * _channels(step, "weight", x)
    y = (x - mean) * scale
    # Ten units of each part cover eight roundings, whether or not the mean and the bias are joined first.
    parts = norms(x) * (float(np.abs(scale).max()) * SLACK)
    shifts = [mean * scale]
    if "bias" in step.arrays:
        shifts.append(_channels(step, "bias", x))
        y = y + shifts[-1]
    parts = parts + sum(float(np.sqrt((s * s).sum())) for s in shifts) * math.sqrt(x[0, 0].size) * SLACK
    return y, parts * gamma(10) * SLACK


def center(step: Step, x: Array) -> Result:
    """Subtract the mean over some axes, and perhaps add a number for each channel.

    Args:
        step: Has `axes`, and perhaps the array `bias`.
        x: `(N, C, ...)`.

    Returns:
        The same shape.
    """
    axes = tuple(a + 1 for a in step.wholes("axes", 0))
    require(0 < len(set(axes)) == len(axes) and max(axes) < x.ndim, step, f"axes {axes} of input {x.shape}")
    y, error = x - x.mean(axes, keepdims=True), norms(x) * gamma(math.prod(x.shape[a] for a in axes) + 8)
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
    "batch_norm": batch_norm,
    "center": center,
    "channel_pad": channel_pad,
    "channel_shuffle": channel_shuffle,
    "normalize": normalize,
    "permute": permute,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "reshape": reshape,
    "scale": lambda s, x: rounded(x * s.number("factor"), 1),
    "shift": shift,
    "slice": cut,
    "zero_pad2d": zero_pad2d,
}
"""Operations of one input, but for affine ones and activations."""


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
    return exact(np.concatenate(values, axis_of(step, values[0])))


def extremum(step: Step, values: list[Array]) -> Result:
    """Take the larger, or the smaller, of two signals entry by entry.

    Args:
        step: Its operation says which.
        values: Two `(N, ...)` of one shape.

    Returns:
        The same shape.
    """
    _same_shapes(step, values)
    require(len(values) == 2, step, "it takes two inputs")
    return exact(np.maximum(*values) if step.op == "maximum" else np.minimum(*values))


JOINS: dict[str, Callable[[Step, list[Array]], Result]] = {
    "add": add,
    "concatenate": concatenate,
    "maximum": extremum,
    "minimum": extremum,
    "subtract": subtract,
}
"""Operations of several inputs."""
