"""Pooling over the products of row windows and column windows, in balls."""

from __future__ import annotations

from typing import Any

import numpy as np

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import Balls, absolute, exact, full, largest, maximum, product, root, square_root
from onelip.certify.paranoid.errors import require
from onelip.certify.paranoid.norms import matrix_norm


def _windows(step: Step, name: str, size: int) -> tuple[list[tuple[int, int]], Balls]:
    ranges, scales = step.attributes[f"{name}s"], step.attributes[f"{name}_scales"]
    require(isinstance(ranges, list) and len(ranges) > 0, step, f"{name} windows")
    require(len(scales) == len(ranges), step, f"{name} scales")
    windows = []
    for start, end in ranges:
        require(type(start) is int and type(end) is int and 0 <= start <= end <= size, step, f"window {start}:{end}")
        windows.append((start, end))
    return windows, exact([float(s) for s in scales])


def _matrix(step: Step, name: str, size: int, scaled: bool) -> Balls:
    windows, scales = _windows(step, name, size)
    result = full((len(windows), size))
    for row, (start, end), scale in zip(result, windows, scales, strict=True):
        row[start:end] = scale if scaled else scale * 0 + 1
    return result


def _scales(step: Step, shape: tuple[int, ...]) -> tuple[Balls, Balls]:
    return _windows(step, "row", shape[-2])[1], _windows(step, "column", shape[-1])[1]


def _sums(step: Step, x: Balls, scaled: bool) -> Balls:
    rows = _matrix(step, "row", x.shape[-2], scaled)
    columns = _matrix(step, "column", x.shape[-1], scaled)
    across = product(x.reshape(-1, x.shape[-1]), columns.T).reshape(*x.shape[:-1], len(columns))
    turned = across.swapaxes(-1, -2)
    down = product(turned.reshape(-1, x.shape[-2]), rows.T).reshape(*turned.shape[:-1], len(rows))
    return down.swapaxes(-1, -2)


def window_sum(step: Step, x: Balls) -> Balls:
    """Sum each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    return _sums(step, x, scaled=True)


def window_norm(step: Step, x: Balls) -> Balls:
    """Take the l2 norm of each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    rows, columns = _scales(step, x.shape)
    return square_root(_sums(step, x * x, scaled=False)) * rows[:, None] * columns


def window_max(step: Step, x: Balls) -> Balls:
    """Take the maximum of each window, times its scales.

    Args:
        step: Has the windows and scales of both axes.
        x: `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    (rows, row_scales), (columns, column_scales) = (
        _windows(step, name, size) for name, size in (("row", x.shape[-2]), ("column", x.shape[-1]))
    )
    require(all(a < b for a, b in rows + columns), step, "an empty window has no maximum")
    lines = np.stack([maximum.reduce(x[..., a:b, :], -2) for a, b in rows], -2)  # type: ignore[attr-defined]
    y = np.stack([maximum.reduce(lines[..., a:b], -1) for a, b in columns], -1)  # type: ignore[attr-defined]
    result: Balls = y * row_scales[:, None] * column_scales
    return result


def sum_norm(step: Step, shape: tuple[int, ...]) -> Any:
    """Bound `window_sum`: the product of the norms of its two matrices.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        A ball whose upper end is a bound.
    """
    return matrix_norm(_matrix(step, "row", shape[-2], True)) * matrix_norm(_matrix(step, "column", shape[-1], True))


def overlap_norm(step: Step, shape: tuple[int, ...]) -> Any:
    """Bound `window_norm` and `window_max`: the largest scale times the root of the windows that share a pixel.

    Args:
        step: The step.
        shape: Shape of its input.

    Returns:
        A ball whose upper end is a bound.
    """
    counts = [_count(_windows(step, name, size)[0], size) for name, size in (("row", shape[-2]), ("column", shape[-1]))]
    rows, columns = _scales(step, shape)
    return root(exact(np.array(counts[0] * counts[1]))[()]) * largest(absolute(rows)) * largest(absolute(columns))


def _count(windows: list[tuple[int, int]], size: int) -> int:
    counts: Array = np.zeros(size)
    for start, end in windows:
        counts[start:end] += 1
    return int(counts.max())
