"""Norms of padding, pooling and upsampling, from the windows they use at a given image size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.linalg import EXACT_ONE, UNIT_ROUNDOFF, Bound, add_up, matrix_norm_bound, multiply_up, sqrt_up

Pair = tuple[int, int]


def per_axis(value: Any, n_axes: int) -> tuple[int, ...]:
    """Write a torch argument as one number for each axis.

    Args:
        value: An int, or as many as there are axes, or one of them in a sequence.
        n_axes: Number of axes.

    Returns:
        The numbers.
    """
    numbers = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    return numbers * n_axes if len(numbers) == 1 else numbers


def pair(value: int | Sequence[int]) -> Pair:
    """Write a torch argument as (vertical, horizontal).

    Args:
        value: An int or two of them.

    Returns:
        Both numbers.
    """
    if isinstance(value, int):
        return value, value
    first, second = value
    return int(first), int(second)


def padding_repeats(size: int, before: int, after: int, mode: str) -> int:
    """Count how often one pixel of a line occurs after padding, at most.

    Args:
        size: Pixels before padding.
        before: Pixels added in front; negative crops.
        after: Pixels added behind.
        mode: "zeros", "constant", "circular", "reflect" or "replicate".

    Returns:
        The largest count, at least 1.
    """
    if mode in ("zeros", "constant"):
        return 1
    line = torch.arange(size, dtype=torch.float64).reshape(1, 1, size)
    padded = F.pad(line, (before, after), mode=mode)
    return int(torch.bincount(padded.flatten().long()).max())


def repeats_bound(counts: Sequence[int], method: str) -> Bound:
    """Bound a map that copies each pixel at most so many times along each axis.

    Args:
        counts: Copies along each axis.
        method: What to call the proof.

    Returns:
        sqrt(product of counts), rounded up.
    """
    total = math.prod(counts)
    root = math.isqrt(total)
    exact = root * root == total
    return EXACT_ONE if total == 1 else Bound(float(root) if exact else sqrt_up(float(total)), True, method)


def sliding_matrix(size: int, kernel: int, stride: int, padding: int, n_windows: int, include_pad: bool) -> Tensor:
    """Matrix of 1-D average pooling, as torch divides.

    Args:
        size: Pixels of the line.
        kernel: Window size.
        stride: Distance between windows.
        padding: Zeros on either side.
        n_windows: Number of outputs.
        include_pad: Count padded zeros in the divisor?

    Returns:
        `(n_windows, size)` float64, each entry rounded once.
    """
    matrix = torch.zeros(n_windows, size, dtype=torch.float64)
    for i in range(n_windows):
        start = i * stride - padding
        end = min(start + kernel, size + padding)
        inside = max(start, 0), min(end, size)
        divisor = end - start if include_pad else inside[1] - inside[0]
        matrix[i, inside[0] : inside[1]] = 1 / divisor
    return matrix


def separable_bound(*matrices: Tensor, factor: float = 1.0) -> Bound:
    """Bound the map that applies one matrix along each of some axes.

    With entries within 4 u of the exact ones, the exact matrix is within 4 u || |M| || of the stored one, and || |M| ||
    is at most the root of the largest row sum times the largest column sum of |M|.

    Args:
        *matrices: `(n', n)` for each axis, every entry rounded at most four times.
        factor: Proved constant of what follows.

    Returns:
        The product of the norms, rounded up.
    """
    value = factor
    for matrix in matrices:
        size = matrix.double().abs()
        # Twice the 4 u, for the roundings of the sums.
        off = 8 * UNIT_ROUNDOFF * math.sqrt(float(size.sum(0).max()) * float(size.sum(1).max()))
        value = multiply_up(value, add_up(matrix_norm_bound(matrix).value, off))
    return Bound(value, True, "window matrix")


def max_repeats(kernel: int, stride: int, dilation: int) -> int:
    """Count the windows of max pooling that one pixel of a line can be in.

    Args:
        kernel: Pixels in a window.
        stride: Distance between windows.
        dilation: Distance between the pixels of a window.

    Returns:
        The largest count over all pixels, for lines of any length.
    """
    return max(sum((r - dilation * t) % stride == 0 for t in range(kernel)) for r in range(stride))


def sliding_windows(
    size: int, kernel: int, stride: int, padding: int, n_windows: int, dilation: int = 1
) -> list[list[int]]:
    """Pixels of each window of fixed size.

    Args:
        size: Pixels of the line.
        kernel: Pixels in a window.
        stride: Distance between windows.
        padding: Pixels in front of the line that windows may cover.
        n_windows: Number of windows.
        dilation: Distance between the pixels of a window.

    Returns:
        The pixels of each that lie on the line.
    """
    starts = (i * stride - padding for i in range(n_windows))
    return [[p for p in range(s, s + dilation * kernel, dilation) if 0 <= p < size] for s in starts]


def shared(windows: Sequence[Sequence[int]]) -> int:
    """Count the windows that one pixel is in, at most.

    Args:
        windows: Pixels of each.

    Returns:
        The largest count, at least 1.
    """
    counts: dict[int, int] = {}
    for window in windows:
        for pixel in window:
            counts[pixel] = counts.get(pixel, 0) + 1
    return max(counts.values(), default=1)


def adaptive_ranges(size: int, n_windows: int) -> list[Pair]:
    """Windows of torch's adaptive pooling.

    Args:
        size: Pixels of the line.
        n_windows: Number of outputs.

    Returns:
        (start, end) of each.
    """
    return [(i * size // n_windows, -(-(i + 1) * size // n_windows)) for i in range(n_windows)]


def adaptive_matrix(size: int, n_windows: int) -> Tensor:
    """Matrix of 1-D adaptive average pooling.

    Args:
        size: Pixels of the line.
        n_windows: Number of outputs.

    Returns:
        `(n_windows, size)` float64, each entry rounded once.
    """
    matrix = torch.zeros(n_windows, size, dtype=torch.float64)
    for i, (start, end) in enumerate(adaptive_ranges(size, n_windows)):
        matrix[i, start:end] = 1 / (end - start)
    return matrix


def adaptive_repeats(size: int, n_windows: int) -> int:
    """Count the windows of adaptive max pooling that one pixel of a line is in, at most.

    Args:
        size: Pixels of the line.
        n_windows: Number of outputs.

    Returns:
        The largest count.
    """
    windows = adaptive_ranges(size, n_windows)
    return max(sum(start <= pixel < end for start, end in windows) for pixel in range(size))


def unfold_repeats(sizes: Sequence[int], kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> int:
    """Count the windows of torch's unfolding that one pixel is in, at most.

    Args:
        sizes: Height and width of the image.
        kernel_size: As in `nn.Unfold`, and so on.
        dilation: Distance between the pixels of a window.
        padding: Zeros on either side.
        stride: Distance between windows.

    Returns:
        The largest count, at least 1.
    """
    numbered = torch.arange(1, math.prod(sizes) + 1, dtype=torch.float64).reshape(1, 1, *sizes)
    places = F.unfold(numbered, kernel_size, dilation, padding, stride).flatten().long()
    return max(1, int(torch.bincount(places, minlength=2)[1:].max()))
