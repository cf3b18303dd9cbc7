"""Pooling and products with stored matrices along axes: what they compute, and their constants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onelip.certify.checker.arithmetic import gamma, root, times
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.norms import matrix_norm
from onelip.certify.checker.operations import LARGEST_FACTOR, SLACK, Result, exact, norms, require, rounded


def _windows(step: Step, name: str, size: int) -> tuple[list[tuple[int, int]], Array]:
    ranges, scales = step.attributes[f"{name}s"], step.attributes[f"{name}_scales"]
    numbers = np.array(scales, dtype=np.float64)
    require(numbers.shape == (len(ranges),) and len(ranges) > 0, step, f"{name} windows and scales")
    windows = []
    for window in ranges:
        if not (isinstance(window, list) and len(window) == 2 and all(type(n) is int for n in window)):
            raise VerificationError(f"window {window!r} of {step.name!r} must be two integers")
        require(0 <= window[0] <= window[1] <= size, step, f"window {window} in {size} pixels")
        windows.append((window[0], window[1]))
    return windows, numbers


def _both(step: Step, shape: tuple[int, ...]) -> tuple[Array, Array]:
    found = []
    for name, size in (("row", shape[-2]), ("column", shape[-1])):
        windows, _ = _windows(step, name, size)
        matrix = np.zeros((len(windows), size))
        for row, (start, end) in zip(matrix, windows, strict=True):
            row[start:end] = 1
        found.append(matrix)
    return found[0], found[1]


def _scales(step: Step, shape: tuple[int, ...]) -> Array:
    return np.outer(_windows(step, "row", shape[-2])[1], _windows(step, "column", shape[-1])[1])


def window_norm(step: Step, x: Array) -> Result:
    """Take the l2 norm of each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    rows, columns = _both(step, x.shape)
    y = np.sqrt(rows @ (x * x) @ columns.T) * _scales(step, x.shape)
    return rounded(y, x.shape[-1] + x.shape[-2] + 4)


def magnitudes(step: Step, shape: tuple[int, ...]) -> list[tuple[Array, Array]]:
    """Measure the windows of both axes.

    Args:
        step: Has the windows and scales of both axes.
        shape: Shape of its input.

    Returns:
        For rows and for columns, the pixels in each window and the size of its scale.
    """
    found = []
    for name, size in (("row", shape[-2]), ("column", shape[-1])):
        windows, scales = _windows(step, name, size)
        found.append((np.array([float(end - start) for start, end in windows]), np.abs(scales)))
    return found


def overlap_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `window_norm`: the largest scale times the root of the windows that share a pixel.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    rows, columns = _both(step, shape)
    shared = float(rows.sum(0).max()) * float(columns.sum(0).max())
    axes = (("row", shape[-2]), ("column", shape[-1]))
    largest = [float(np.abs(_windows(step, name, size)[1]).max()) for name, size in axes]
    return times(root(shared), *largest)


def _matrices(step: Step, shape: tuple[int, ...]) -> list[tuple[int, Array]]:
    axes = step.wholes("axes", 0)
    require(len(set(axes)) == len(axes) > 0 and max(axes) + 1 < len(shape), step, f"axes {axes} of input {shape}")
    found = []
    for k, axis in enumerate(axes):
        matrix = step.arrays[f"matrix{k}"]
        require(matrix.ndim == 2 and matrix.shape[1] == shape[axis + 1], step, f"matrix {matrix.shape}")
        # What underflows along one axis is multiplied along the next ones.
        require(bool((np.abs(matrix) <= LARGEST_FACTOR).all()), step, f"entries above {LARGEST_FACTOR!r}")
        found.append((axis + 1, matrix))
    return found


def matrices(step: Step, x: Array) -> Result:
    """Multiply along axes by one stored matrix each.

    Args:
        step: Has `axes` and the arrays `matrix0`, `matrix1`, ...
        x: `(N, ...)`.

    Returns:
        `(N, ...)`.
    """
    y, size, terms = x, 1.0, 2
    for axis, matrix in _matrices(step, x.shape):
        y = np.moveaxis(np.moveaxis(y, axis, -1) @ matrix.T, -1, axis)
        absolute = np.abs(matrix)
        size *= math.sqrt(float(absolute.sum(0).max())) * math.sqrt(float(absolute.sum(1).max())) * SLACK
        terms += matrix.shape[1] + 1
    return y, norms(x) * (size * gamma(terms))


def matrices_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `matrices`: the product of the norms.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    return times(*(matrix_norm(matrix) for _, matrix in _matrices(step, shape)))


def _lists(step: Step, shape: tuple[int, ...]) -> list[tuple[int, list[list[int]]]]:
    axes, lists = step.wholes("axes", 0), step.attributes["windows"]
    require(isinstance(lists, list) and len(lists) == len(axes) > 0, step, "one list of windows for each axis")
    require(len(set(axes)) == len(axes) and max(axes) + 1 < len(shape), step, f"axes {axes} of input {shape}")
    for axis, windows in zip(axes, lists, strict=True):
        size = shape[axis + 1]
        require(isinstance(windows, list) and len(windows) > 0, step, "no windows")
        for window in windows:
            whole = isinstance(window, list) and all(type(p) is int and 0 <= p < size for p in window)
            require(whole and len(window) > 0, step, f"window {window!r} must hold entries from 0 to {size - 1}")
    return list(zip((axis + 1 for axis in axes), lists, strict=True))


def max_windows(step: Step, x: Array) -> Result:
    """Take the maximum of each window.

    Args:
        step: Has `axes`, and `windows` with the entries of each window along each of them.
        x: `(N, ...)`.

    Returns:
        `(N, ...)`.
    """
    for axis, windows in _lists(step, x.shape):
        x = np.stack([np.take(x, window, axis).max(axis) for window in windows], axis)
    return exact(x)


def max_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `max_windows`: the root of the number of windows that share an entry.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    counts = (np.bincount([p for window in windows for p in set(window)]) for _, windows in _lists(step, shape))
    return root(float(math.prod(int(count.max()) for count in counts)))


WINDOWS: dict[str, Callable[[Step, Array], Result]] = {
    "matrices": matrices,
    "max_windows": max_windows,
    "window_norm": window_norm,
}
"""Operations by name."""

WINDOW_CONSTANTS: dict[str, Callable[[Step, tuple[int, ...]], float]] = {
    "matrices": matrices_constant,
    "max_windows": max_constant,
    "window_norm": overlap_constant,
}
"""Their constants."""
