import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from onelip.bounds.windows import (
    adaptive_matrix,
    adaptive_ranges,
    adaptive_repeats,
    max_repeats,
    padding_repeats,
    pair,
    per_axis,
    repeats_bound,
    separable_bound,
    shared,
    sliding_matrix,
    sliding_windows,
    unfold_repeats,
)


@given(st.integers(1, 12), st.integers(1, 12))
def test_adaptive_windows_are_those_of_torch(size, count):
    line = torch.arange(1.0, size + 1, dtype=torch.float64)
    expected = F.adaptive_avg_pool1d(line[None, None], count)[0, 0]
    torch.testing.assert_close(adaptive_matrix(size, count) @ line, expected)
    counts = torch.zeros(size)
    for start, end in adaptive_ranges(size, count):
        counts[start:end] += 1
    assert adaptive_repeats(size, count) == int(counts.max())


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_max_windows_that_share_a_pixel(kernel, stride, dilation):
    size = 60
    starts = range(0, size - dilation * (kernel - 1), stride)
    counts = torch.zeros(size)
    for start in starts:
        counts[start : start + dilation * (kernel - 1) + 1 : dilation] += 1
    assert max_repeats(kernel, stride, dilation) == int(counts.max())
    windows = sliding_windows(size, kernel, stride, 0, len(starts), dilation)
    assert shared(windows) == int(counts.max())


@pytest.mark.parametrize("include", [True, False])
def test_sliding_windows_are_those_of_torch(include):
    line = torch.randn(9, dtype=torch.float64)
    expected = F.avg_pool1d(line[None, None], 3, 2, 1, count_include_pad=include)[0, 0]
    torch.testing.assert_close(sliding_matrix(9, 3, 2, 1, len(expected), include) @ line, expected)


def test_padding_repeats_by_hand():
    assert padding_repeats(5, 2, 2, "zeros") == 1
    assert padding_repeats(5, 1, 1, "reflect") == 2
    assert padding_repeats(5, 2, 2, "reflect") == 3
    assert padding_repeats(5, 2, 1, "replicate") == 3
    assert padding_repeats(2, 2, 2, "circular") == 3


def test_bounds_from_counts_and_matrices():
    assert repeats_bound([1, 1], "copies").method == "exact"
    assert repeats_bound([2, 2], "copies").value >= 2
    bound = separable_bound(torch.eye(3, dtype=torch.float64), 2 * torch.eye(2, dtype=torch.float64), factor=3.0)
    assert 6 <= bound.value <= 6 * (1 + 1e-7)
    assert pair(3) == (3, 3)
    assert pair([1, 2]) == (1, 2)


def test_one_number_for_each_axis():
    assert per_axis(2, 3) == (2, 2, 2)
    assert per_axis((4,), 2) == (4, 4)
    assert per_axis([1, 2, 3], 3) == (1, 2, 3)


def test_windows_with_gaps_and_who_shares_them():
    windows = sliding_windows(5, 3, 1, 2, 4, dilation=2)
    assert windows == [[0, 2], [1, 3], [0, 2, 4], [1, 3]]
    assert shared(windows) == 2
    assert shared([]) == 1


def test_unfolded_pixels_by_hand():
    assert unfold_repeats((4, 4), 2, 1, 0, 1) == 4
    assert unfold_repeats((4, 4), (2, 1), 1, 0, 2) == 1
    assert unfold_repeats((3, 3), 3, 1, 1, 1) == 9
