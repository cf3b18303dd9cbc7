"""Window arithmetic against counting by brute force."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.layers.windows import (
    adaptive_multiplicity,
    adaptive_sum_scales,
    adaptive_windows,
    root_down,
    safe_sqrt,
    sliding_multiplicity,
    sliding_overlap,
)

_SIZES = st.integers(1, 12)


@given(_SIZES, _SIZES)
def test_overlap_bounds_and_nearly_attains_the_norm_of_long_signals(kernel: int, stride: int) -> None:
    n_windows = 40
    sums = np.zeros((n_windows, n_windows * stride + kernel))
    for i in range(n_windows):
        sums[i, i * stride : i * stride + kernel] = 1
    squared = np.linalg.norm(sums, 2) ** 2
    assert 0.9 * sliding_overlap(kernel, stride) <= squared <= sliding_overlap(kernel, stride) * (1 + 1e-13)
    assert sums.sum(0).max() == sliding_multiplicity(kernel, stride)


@given(_SIZES, _SIZES)
def test_adaptive_windows_are_torchs_and_scales_make_them_short(size: int, n_windows: int) -> None:
    averages = torch.nn.functional.adaptive_avg_pool1d(torch.eye(size, dtype=torch.float64), n_windows).T.numpy()
    windows = adaptive_windows(size, n_windows)
    expected = np.zeros((n_windows, size))
    for i, (start, end) in enumerate(windows):
        expected[i, start:end] = 1
    assert np.array_equal(averages > 0, expected > 0)
    assert adaptive_multiplicity(size, n_windows) == expected.sum(0).max()
    norm = np.linalg.norm(expected * np.array(adaptive_sum_scales(size, n_windows))[:, None], 2)
    assert 0.7 < norm <= 1 + 1e-15


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_root_is_rounded_down_by_less_than_two_units(numerator: int, denominator: int) -> None:
    square = Fraction(numerator, denominator)
    root = root_down(square)
    assert Fraction(root) ** 2 <= square
    assert Fraction(root * (1 + 2.0**-51)) ** 2 >= square


def test_square_root_has_slope_zero_at_zero() -> None:
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    safe_sqrt(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.25]
