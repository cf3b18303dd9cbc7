"""Pooling, and products with stored matrices along axes, in balls; and their constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import ONE, Balls, absolute, exact, largest, maximum, product, root, square_root
from onelip.certify.paranoid.copies import Shape, axes_of
from onelip.certify.paranoid.errors import require
from onelip.certify.paranoid.norms import matrix_norm


def _ranges(step: Step, name: str, size: int) -> tuple[list[tuple[int, int]], Balls]:
    ranges, scales = step.attributes[f"{name}s"], step.attributes[f"{name}_scales"]
    require(isinstance(ranges, list) and len(ranges) > 0, step, f"{name} windows")
    require(len(scales) == len(ranges), step, f"{name} scales")
    windows = []
    for start, end in ranges:
        require(type(start) is int and type(end) is int and 0 <= start <= end <= size, step, f"window {start}:{end}")
        windows.append((start, end))
    return windows, exact([float(s) for s in scales])


def _inside(step: Step, name: str, size: int) -> Array:
    windows, _ = _ranges(step, name, size)
    result = np.zeros((len(windows), size))
    for row, (start, end) in zip(result, windows, strict=True):
        row[start:end] = 1
    return result


def _along(x: Balls, axis: int, matrix: Balls) -> Balls:
    turned = np.moveaxis(x, axis, 0)
    y = product(matrix, turned.reshape(len(turned), -1)).reshape(len(matrix), *turned.shape[1:])
    return np.moveaxis(y, 0, axis)


def _scales(step: Step, shape: Shape) -> tuple[Balls, Balls]:
    return _ranges(step, "row", shape[-2])[1], _ranges(step, "column", shape[-1])[1]


def window_norm(step: Step, x: Balls) -> Balls:
    """Take the l2 norm of each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    rows, columns = _scales(step, x.shape)
    sums = _along(x * x, x.ndim - 2, exact(_inside(step, "row", x.shape[-2])))
    sums = _along(sums, x.ndim - 1, exact(_inside(step, "column", x.shape[-1])))
    return square_root(sums) * rows[:, None] * columns


def overlap_norm(step: Step, shape: Shape) -> Any:
    """Bound `window_norm`: the largest scale times the root of the windows that share a pixel.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        A ball whose upper end is a bound.
    """
    shared = [int(_inside(step, name, n).sum(0).max()) for name, n in (("row", shape[-2]), ("column", shape[-1]))]
    rows, columns = _scales(step, shape)
    return root(arb(shared[0] * shared[1])) * largest(absolute(rows)) * largest(absolute(columns))


def longest_norm(step: Step, shape: Shape) -> Any:
    """Bound `window_norm` in l_inf: the largest scale times the root of the pixels of a window.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        A ball whose upper end is a bound.
    """
    result = ONE
    for name, size in (("row", shape[-2]), ("column", shape[-1])):
        windows, scales = _ranges(step, name, size)
        result = result * largest(absolute(scales) * square_root(exact([end - start for start, end in windows])))
    return result


def _matrices(step: Step, shape: Shape) -> list[tuple[int, Balls]]:
    found = []
    for k, axis in enumerate(axes_of(step, shape)):
        matrix = step.arrays[f"matrix{k}"]
        fits = matrix.ndim == 2 and len(matrix) > 0 and matrix.shape[1] == shape[axis]
        require(fits, step, f"matrix {matrix.shape} for input {shape}")
        found.append((axis, exact(matrix)))
    return found


def matrices(step: Step, x: Balls) -> Balls:
    """Multiply along axes by one stored matrix each.

    Args:
        step: Has `axes` and the arrays `matrix0`, `matrix1`, ...
        x: `(N, ...)`.

    Returns:
        `(N, ...)`.
    """
    for axis, matrix in _matrices(step, x.shape):
        x = _along(x, axis, matrix)
    return x


def matrices_norm(step: Step, shape: Shape) -> Any:
    """Bound `matrices`: the product of the norms.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        A ball whose upper end is a bound.
    """
    result = ONE
    for _, matrix in _matrices(step, shape):
        result = result * matrix_norm(matrix)
    return result


def matrices_sum(step: Step, shape: Shape) -> Any:
    """Bound `matrices` in l_inf: the product of the largest row sums of sizes.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        A ball whose upper end is a bound.
    """
    result = ONE
    for _, matrix in _matrices(step, shape):
        result = result * largest(absolute(matrix).sum(1))
    return result


def _lists(step: Step, shape: Shape) -> list[tuple[int, list[list[int]]]]:
    axes, lists = axes_of(step, shape), step.attributes["windows"]
    require(isinstance(lists, list) and len(lists) == len(axes), step, "windows")
    for axis, windows in zip(axes, lists, strict=True):
        require(isinstance(windows, list) and len(windows) > 0, step, "an axis without windows")
        for window in windows:
            fits = isinstance(window, list) and all(type(p) is int and 0 <= p < shape[axis] for p in window)
            require(fits and len(window) > 0, step, f"window {window!r} along axis {axis} of input {shape}")
    return list(zip(axes, lists, strict=True))


def max_windows(step: Step, x: Balls) -> Balls:
    """Take the maximum of each window.

    Args:
        step: Has `axes`, and `windows` with the entries of each window along each of them.
        x: `(N, ...)`.

    Returns:
        `(N, ...)`.
    """
    for axis, windows in _lists(step, x.shape):
        parts = [maximum.reduce(x.take(window, axis), axis) for window in windows]  # type: ignore[attr-defined]
        x = np.stack(parts, axis)
    return x


def max_norm(step: Step, shape: Shape) -> Any:
    """Bound `max_windows`: the root of the number of windows that share an entry.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        A ball whose upper end is a bound.
    """
    shared = 1
    for axis, windows in _lists(step, shape):
        shared *= max(sum(p in window for window in windows) for p in range(shape[axis]))
    return root(arb(shared))


WINDOWS: dict[str, Callable[[Step, Balls], Balls]] = {
    "matrices": matrices,
    "max_windows": max_windows,
    "window_norm": window_norm,
}
"""Operations by name."""

WINDOW_CONSTANTS: dict[str, Callable[[Step, Shape], Any]] = {
    "matrices": matrices_norm,
    "max_windows": max_norm,
    "window_norm": overlap_norm,
}
"""Their constants."""
