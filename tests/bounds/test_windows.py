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
    repeats_bound,
    separable_bound,
    sliding_matrix,
)


@given(st.integers(1, 12), st.integers(1, 12))
def test_adaptive_windows_are_those_of_torch(size, count):
    line = torch.arange(1.0, size + 1, dtype=torch.float64)
    expected = F.adaptive_avg_pool1d(line[None, None], count)[0, 0]
    torch.testing.assert_close(adaptive_matrix(size, count) @ line, expected)
    shared = torch.zeros(size)
    for start, end in adaptive_ranges(size, count):
        shared[start:end] += 1
    assert adaptive_repeats(size, count) == int(shared.max())


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_max_windows_that_share_a_pixel(kernel, stride, dilation):
    size = 60
    starts = range(0, size - dilation * (kernel - 1), stride)
    shared = torch.zeros(size)
    for start in starts:
        shared[start : start + dilation * (kernel - 1) + 1 : dilation] += 1
    assert max_repeats(kernel, stride, dilation) == int(shared.max())


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
