"""Which pixels a pooling window sees, how often a pixel is seen, and the scales that make pooling 1-Lipschitz."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from onelip.linalg import down


def root_down(square: Fraction) -> float:
    """Largest float64 whose square does not exceed a rational number; exact for squares.

    Args:
        square: A number >= 0.

    Returns:
        The root, rounded down.
    """
    root = math.sqrt(square)
    while Fraction(root) ** 2 > square:
        root = down(root)
    return root


def sliding_overlap(kernel: int, stride: int) -> int:
    """Bound the squared norm of the 1-D map that sums windows of `kernel` pixels every `stride` pixels.

    With A this map, (A A^T)_ij = |window i and window j in common| = max(0, kernel - stride |i - j|), and the norm of
    a symmetric matrix is at most its largest row sum. Attained in the limit of long signals.

    Args:
        kernel: Window size.
        stride: Distance between windows.

    Returns:
        kernel + 2 sum_{j >= 1} max(0, kernel - stride j).
    """
    return kernel + 2 * sum(range(kernel - stride, 0, -stride))


def sliding_multiplicity(kernel: int, stride: int) -> int:
    """Count the windows that can share one pixel along one axis.

    Args:
        kernel: Window size.
        stride: Distance between windows.

    Returns:
        ceil(kernel / stride).
    """
    return -(-kernel // stride)


def adaptive_windows(size: int, n_windows: int) -> list[tuple[int, int]]:
    """Windows of torch's adaptive pooling along one axis.

    Args:
        size: Pixels along the axis.
        n_windows: Outputs along the axis.

    Returns:
        (start, end) of each window; they overlap where `n_windows` does not divide `size`.
    """
    return [(i * size // n_windows, -(-(i + 1) * size // n_windows)) for i in range(n_windows)]


def adaptive_sum_scales(size: int, n_windows: int) -> list[float]:
    """Scales s_i that make the map x -> s_i (sum of window i) 1-Lipschitz along one axis.

    Windows that do not overlap get 1/sqrt(n_i) each, n_i their size, which gives every row norm 1. Otherwise the Gram
    matrix G_ij = |i and j in common| / sqrt(n_i n_j) has a largest row sum m > 1 that bounds the squared norm, and
    the scales are divided by sqrt(m).

    Args:
        size: Pixels along the axis.
        n_windows: Outputs along the axis.

    Returns:
        One scale for each window, within two roundings of 1/sqrt(n_i), or below what is allowed if windows overlap.
    """
    windows = adaptive_windows(size, n_windows)
    if size % n_windows == 0:
        return [1 / math.sqrt(size // n_windows)] * n_windows
    roots = [math.sqrt(end - start) for start, end in windows]
    largest = 0.0
    for i, (start, end) in enumerate(windows):
        common = (max(0, min(end, e) - max(start, s)) / (roots[i] * roots[j]) for j, (s, e) in enumerate(windows))
        largest = max(largest, math.fsum(common))
    # 1e-12 covers the roundings of the quotients, roots and sums.
    return [(1 - 1e-12) / (root * math.sqrt(largest)) for root in roots]


def adaptive_multiplicity(size: int, n_windows: int) -> int:
    """Count the windows that share one pixel along one axis of torch's adaptive pooling, at most.

    Args:
        size: Pixels along the axis.
        n_windows: Outputs along the axis.

    Returns:
        The largest number.
    """
    windows = adaptive_windows(size, n_windows)
    return max(sum(start <= pixel < end for start, end in windows) for pixel in range(size))


def safe_sqrt(x: Tensor) -> Tensor:
    """Square root whose derivative at 0 is 0 instead of infinite.

    Args:
        x: Any tensor with entries >= 0.

    Returns:
        sqrt(x).
    """
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1).sqrt(), 0)
