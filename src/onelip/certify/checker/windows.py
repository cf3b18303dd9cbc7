"""Pooling over the products of row windows and column windows."""

from __future__ import annotations

import math

import numpy as np

from onelip.certify.checker.arithmetic import gamma, root, times
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.norms import matrix_norm
from onelip.certify.checker.operations import SLACK, Result, norms, require, rounded


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


def _matrix(windows: list[tuple[int, int]], scales: Array, size: int) -> Array:
    matrix = np.zeros((len(windows), size))
    for row, (start, end), scale in zip(matrix, windows, scales, strict=True):
        row[start:end] = scale
    return matrix


def _both(step: Step, shape: tuple[int, ...], scaled: bool) -> tuple[Array, Array]:
    matrices = []
    for name, size in (("row", shape[-2]), ("column", shape[-1])):
        windows, scales = _windows(step, name, size)
        matrices.append(_matrix(windows, scales if scaled else np.ones(len(windows)), size))
    return matrices[0], matrices[1]


def _scales(step: Step, shape: tuple[int, ...]) -> Array:
    return np.outer(_windows(step, "row", shape[-2])[1], _windows(step, "column", shape[-1])[1])


def window_sum(step: Step, x: Array) -> Result:
    """Sum each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    rows, columns = _both(step, x.shape, scaled=True)
    y = rows @ x @ columns.T
    size = 1.0
    for matrix in (rows, columns):
        absolute = np.abs(matrix)
        size *= math.sqrt(float(absolute.sum(0).max()) * float(absolute.sum(1).max())) * SLACK
    return y, norms(x) * (size * gamma(x.shape[-1] + x.shape[-2] + 4))


def window_norm(step: Step, x: Array) -> Result:
    """Take the l2 norm of each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    rows, columns = _both(step, x.shape, scaled=False)
    y = np.sqrt(rows @ (x * x) @ columns.T) * _scales(step, x.shape)
    return rounded(y, x.shape[-1] + x.shape[-2] + 4)


def window_max(step: Step, x: Array) -> Result:
    """Take the maximum of each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    rows, _ = _windows(step, "row", x.shape[-2])
    columns, _ = _windows(step, "column", x.shape[-1])
    require(all(start < end for start, end in rows + columns), step, "an empty window has no maximum")
    highest = np.stack([x[..., start:end, :].max(-2) for start, end in rows], -2)
    y = np.stack([highest[..., start:end].max(-1) for start, end in columns], -1)
    return rounded(y * _scales(step, x.shape), 2)


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


def sum_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `window_sum`: the product of the norms of its two matrices.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    rows, columns = _both(step, shape, scaled=True)
    return times(matrix_norm(rows), matrix_norm(columns))


def overlap_constant(step: Step, shape: tuple[int, ...]) -> float:
    """Bound `window_norm` and `window_max`: the largest scale times the root of the windows that share a pixel.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        The constant.
    """
    rows, columns = _both(step, shape, scaled=False)
    shared = float(rows.sum(0).max()) * float(columns.sum(0).max())
    axes = (("row", shape[-2]), ("column", shape[-1]))
    largest = [float(np.abs(_windows(step, name, size)[1]).max()) for name, size in axes]
    return times(root(shared), *largest)
