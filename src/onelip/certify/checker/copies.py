"""Copies and sums of entries of each sample: what they compute, and their constants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import gamma, root
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.operations import Result, exact, norms, require

Places = npt.NDArray[np.int64]


def _lines(step: Step, shape: tuple[int, ...]) -> list[tuple[int, Places]]:
    axes, lines = step.wholes("axes", 0), step.attributes["indices"]
    require(isinstance(lines, list) and len(lines) == len(axes) > 0, step, "one list of places for each axis")
    require(len(set(axes)) == len(axes) and max(axes) + 1 < len(shape), step, f"axes {axes} of input {shape}")
    found = []
    for axis, line in zip(axes, lines, strict=True):
        size = shape[axis + 1]
        whole = isinstance(line, list) and len(line) > 0 and all(type(p) is int and -1 <= p < size for p in line)
        require(whole, step, f"places along axis {axis} must be integers from -1 to {size - 1}")
        found.append((axis + 1, np.array(line, dtype=np.int64)))
    return found


def _most(places: Places) -> int:
    kept = places[places >= 0]
    return int(np.bincount(kept).max()) if kept.size else 0


def gather(step: Step, x: Array) -> Result:
    """Copy along axes, one by one; where the place is -1, write a constant.

    Args:
        step: Has `axes`, `indices` and `fill`.
        x: `(N, ...)`.

    Returns:
        `(N, ...)`.
    """
    fill = step.number("fill")
    for axis, line in _lines(step, x.shape):
        x = np.take(x, np.maximum(line, 0), axis)
        x[(slice(None),) * axis + (line < 0,)] = fill
    return exact(x)


def gather_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `gather`: the root of how often an entry is copied, at most.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    return root(float(math.prod(_most(line) for _, line in _lines(step, shape))))


def _entries(step: Step, count: int, limit: int) -> Places:
    index = step.arrays["index"]
    require(index.shape == (count,), step, f"index of shape {index.shape} for {count} entries")
    whole = (index == np.floor(index)) & (index >= -1) & (index < limit)
    require(bool(whole.all()), step, f"index must hold integers from -1 to {limit - 1}")
    return index.astype(np.int64)


def take(step: Step, x: Array) -> Result:
    """Copy entries, counted in order; where the index is -1, write a constant.

    Args:
        step: Has `shape`, `fill` and the array `index`.
        x: `(N, ...)`.

    Returns:
        `(N, *shape)`.
    """
    shape = step.wholes("shape", 1)
    index = _entries(step, math.prod(shape), x[0].size)
    y = x.reshape(len(x), -1)[:, np.maximum(index, 0)]
    y[:, index < 0] = step.number("fill")
    return exact(y.reshape(len(x), *shape))


def take_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `take`: the root of how often an entry is copied, at most.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    return root(float(_most(_entries(step, step.arrays["index"].size, math.prod(shape[1:])))))


def put(step: Step, x: Array) -> Result:
    """Add entries to entries of the output, or drop those whose index is -1.

    Args:
        step: Has `shape` and the array `index`.
        x: `(N, ...)`.

    Returns:
        `(N, *shape)`.
    """
    shape = step.wholes("shape", 1)
    index = _entries(step, x[0].size, math.prod(shape))
    kept = index >= 0
    y = np.zeros((len(x), math.prod(shape)))
    for row, entries in zip(y, x.reshape(len(x), -1)[:, kept], strict=True):
        np.add.at(row, index[kept], entries)
    most = _most(index)
    # Sums of m entries: gamma_m of the sums of sizes, which are at most sqrt(m) times as long as x.
    return y.reshape(len(x), *shape), norms(x) * (gamma(most + 1) * root(float(most)))


def put_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `put`: the root of how many entries are added up, at most, as for its adjoint `take`.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    limit = math.prod(step.wholes("shape", 1))
    return root(float(_most(_entries(step, math.prod(shape[1:]), limit))))


COPIES: dict[str, Callable[[Step, Array], Result]] = {"gather": gather, "put": put, "take": take}
"""Operations by name."""

COPY_CONSTANTS: dict[str, Callable[[Step, tuple[int, ...]], float]] = {
    "gather": gather_constant,
    "put": put_constant,
    "take": take_constant,
}
"""Their constants."""
