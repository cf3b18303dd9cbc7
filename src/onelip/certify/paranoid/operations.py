"""What each operation that is no activation computes, in balls."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from flint import arb

from onelip.certify.checker.network import Step
from onelip.certify.paranoid.activations import ACTIVATIONS, axis_of
from onelip.certify.paranoid.affine import AFFINE
from onelip.certify.paranoid.balls import Balls, exact, full, maximum, minimum, square_root
from onelip.certify.paranoid.copies import COPIES
from onelip.certify.paranoid.errors import require
from onelip.certify.paranoid.smooth import SMOOTH
from onelip.certify.paranoid.windows import WINDOWS


def _unshuffle(step: Step, x: Balls) -> Balls:
    (h, w), (n, c, height, width) = step.wholes("block", 1, 2), x.shape
    y = x.reshape(n, c, height // h, h, width // w, w).transpose(0, 1, 3, 5, 2, 4)
    return y.reshape(n, c * h * w, height // h, width // w)


def _shuffle(step: Step, x: Balls) -> Balls:
    (h, w), (n, c, height, width) = step.wholes("block", 1, 2), x.shape
    y = x.reshape(n, c // (h * w), h, w, height, width).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(n, c // (h * w), height * h, width * w)


def _channel_pad(step: Step, x: Balls) -> Balls:
    missing = step.whole("channels", 1) - x.shape[1]
    require(missing >= 0, step, f"fewer channels than input {x.shape}")
    return np.concatenate([x, full((len(x), missing, *x.shape[2:]))], 1)


def _channel_shuffle(step: Step, x: Balls) -> Balls:
    axis, groups = axis_of(step, x), step.wholes("groups", 1, 2)
    parts = x.reshape(*x.shape[:axis], *groups, -1, *x.shape[axis + 1 :])
    return parts.swapaxes(axis, axis + 1).reshape(x.shape)


def _zero_pad(step: Step, x: Balls) -> Balls:
    top, bottom, left, right = step.wholes("pads", -x.size, 4)
    height, width = x.shape[2] + top + bottom, x.shape[3] + left + right
    require(height > 0 and width > 0, step, "it crops everything")
    y = full((*x.shape[:2], height, width))
    rows, columns = slice(max(0, top), height - max(0, bottom)), slice(max(0, left), width - max(0, right))
    inside = slice(max(0, -top), x.shape[2] - max(0, -bottom)), slice(max(0, -left), x.shape[3] - max(0, -right))
    y[:, :, rows, columns] = x[:, :, inside[0], inside[1]]
    return y


def _slice(step: Step, x: Balls) -> Balls:
    axis, start, stop = axis_of(step, x), step.whole("start"), step.whole("stop")
    require(start < stop <= x.shape[axis], step, f"range {start}:{stop} of input {x.shape}")
    return x.take(range(start, stop), axis)


def _reshape(step: Step, x: Balls) -> Balls:
    return x.reshape(len(x), *step.wholes("shape", 1))


def _permute(step: Step, x: Balls) -> Balls:
    return x.transpose(0, *[a + 1 for a in step.wholes("axes", 0)])


def _channels(step: Step, role: str, x: Balls) -> Balls:
    values = step.arrays[role]
    require(values.shape == (x.shape[1],), step, f"{role} of shape {values.shape} for input {x.shape}")
    return exact(values).reshape(-1, *[1] * (x.ndim - 2))


def _normalize(step: Step, x: Balls) -> Balls:
    result: Balls = (x - _channels(step, "mean", x)) / _channels(step, "std", x)
    return result


def _batch_norm(step: Step, x: Balls) -> Balls:
    y = (x - _channels(step, "mean", x)) / square_root(_channels(step, "variance", x) + arb(step.number("eps")))
    y = y * _channels(step, "weight", x) if "weight" in step.arrays else y
    return y + _channels(step, "bias", x) if "bias" in step.arrays else y


def _center(step: Step, x: Balls) -> Balls:
    axes = tuple(a + 1 for a in step.wholes("axes", 0))
    require(len(set(axes)) == len(axes) > 0 and max(axes) < x.ndim, step, f"axes {axes} of input {x.shape}")
    mean = x
    for axis in axes:
        mean = mean.sum(axis, keepdims=True)
    y = x - mean / math.prod(x.shape[a] for a in axes)
    return y + _channels(step, "bias", x) if "bias" in step.arrays else y


def _shift(step: Step, x: Balls) -> Balls:
    value = step.arrays["value"]
    require(value.shape == x.shape[1:], step, f"value of shape {value.shape} for input {x.shape}")
    result: Balls = x + exact(value)
    return result


OPERATIONS: dict[str, Callable[[Step, Balls], Balls]] = {
    **ACTIVATIONS,
    **AFFINE,
    **COPIES,
    **SMOOTH,
    **WINDOWS,
    "batch_norm": _batch_norm,
    "center": _center,
    "channel_pad": _channel_pad,
    "channel_shuffle": _channel_shuffle,
    "normalize": _normalize,
    "permute": _permute,
    "pixel_shuffle": _shuffle,
    "pixel_unshuffle": _unshuffle,
    "reshape": _reshape,
    "scale": lambda s, x: x * arb(s.number("factor")),
    "shift": _shift,
    "slice": _slice,
    "zero_pad2d": _zero_pad,
}
"""Operations of one input by name."""


def _add(step: Step, values: list[Balls]) -> Balls:
    require(all(v.shape == values[0].shape for v in values), step, "inputs of different shapes")
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result


def _subtract(step: Step, values: list[Balls]) -> Balls:
    require(len(values) == 2 and values[0].shape == values[1].shape, step, "inputs of different shapes")
    result: Balls = values[0] - values[1]
    return result


def _extremum(step: Step, values: list[Balls]) -> Balls:
    require(len(values) == 2 and values[0].shape == values[1].shape, step, "inputs of different shapes")
    return maximum(*values) if step.op == "maximum" else minimum(*values)


JOINS: dict[str, Callable[[Step, list[Balls]], Balls]] = {
    "add": _add,
    "concatenate": lambda step, values: np.concatenate(values, axis_of(step, values[0])),
    "maximum": _extremum,
    "minimum": _extremum,
    "subtract": _subtract,
}
"""Operations of several inputs by name."""
