"""Shift kernels: which channels go where, the composition, and the way back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onelip.layers.conv_arguments import conv_arguments
from onelip.layers.shift_kernel import ShiftPlan, shift_plan, shift_taps


def random_orthogonal(*shape: int) -> Tensor:
    tall = torch.randn(*shape[:-2], max(shape[-2:]), min(shape[-2:]), dtype=torch.float64)
    q = torch.linalg.qr(tall).Q
    return q if shape[-2] >= shape[-1] else q.mT


def plan(sizes: tuple[Any, ...], **options: Any) -> ShiftPlan:
    return shift_plan(conv_arguments("Layer", *sizes, **options), 0.125)


def parameters(p: ShiftPlan) -> tuple[Tensor, Tensor | None]:
    rotation = None if p.rotation_shape is None else random_orthogonal(*p.rotation_shape)
    return random_orthogonal(*p.matrix_shape), rotation


def test_channels_are_shared_among_the_directions() -> None:
    assert shift_taps((3, 3), 16, 0.125) == (((1, 2), 2), ((2, 1), 2), ((1, 0), 2), ((0, 1), 2), ((1, 1), 8))
    assert shift_taps((3, 3), 64, 1 / 16)[-1] == ((1, 1), 48)
    assert shift_taps((3, 3), 4, 0.25) == (((1, 2), 1), ((2, 1), 1), ((1, 0), 1), ((0, 1), 1))


def test_few_channels_and_short_kernels() -> None:
    assert shift_taps((3, 3), 5, 0.125) == (((1, 2), 1), ((2, 1), 1), ((1, 0), 1), ((1, 1), 2))
    assert shift_taps((3, 3), 1, 0.125) == (((1, 2), 1),)
    assert shift_taps((1, 1), 6, 0.25) == (((0, 0), 6),)
    assert shift_taps((1, 5), 8, 0.25) == (((0, 4), 2), ((0, 0), 2), ((0, 2), 4))
    assert shift_taps((2, 2), 8, 0.25) == (((0, 1), 2), ((1, 0), 2), ((0, 0), 4))


@settings(max_examples=60)
@given(st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(1, 40), st.floats(0, 0.25, exclude_min=True))
def test_every_channel_has_one_tap(size: tuple[int, int], channels: int, ratio: float) -> None:
    taps = shift_taps(size, channels, ratio)
    assert sum(count for _, count in taps) == channels
    assert len({tap for tap, _ in taps}) == len(taps)
    assert all(0 <= a < size[0] and 0 <= b < size[1] for (a, b), _ in taps)
    if channels > 1 and size != (1, 1):
        assert len(taps) > 1, "a kernel of more than one tap shifts something"


def test_kernel_is_the_sum_of_its_shifts() -> None:
    p = plan((5, 5, 3))
    m, r = parameters(p)
    assert r is not None
    expected = torch.zeros(5, 5, 3, 3, dtype=torch.float64)
    rows = [tap for tap, count in p.taps for _ in range(count)]
    for (a, b), row in zip(rows, r[0], strict=True):
        expected[:, :, a, b] += torch.outer(row, m[0].T @ row)
    assert p.shifts_last
    # R^T S R M = M (R M)^T S (R M) for a square M.
    assert torch.allclose(p.kernel(m, r), expected, rtol=0, atol=1e-14)
    taps = expected.flatten(2).sum(2)
    assert torch.allclose(taps, m[0], rtol=0, atol=1e-14)


SIZES: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((4, 4, 3), {}),
    ((3, 6, 3), {}),
    ((6, 3, 3), {}),
    ((4, 1, 5), {}),
    ((1, 1, 3), {}),
    ((8, 4, (1, 4)), {"groups": 2}),
    ((3, 12, 3), {"stride": 2}),
    ((6, 2, 4), {"stride": 2}),
    ((4, 16, 5), {"stride": 2, "groups": 2}),
]


@pytest.mark.parametrize(("sizes", "options"), SIZES, ids=str)
def test_kernels_of_the_set_are_found_from_elsewhere(sizes: tuple[Any, ...], options: dict[str, Any]) -> None:
    p = plan(sizes, **options)
    target = p.kernel(*parameters(p))
    found = p.kernel(*p.fit(target, *parameters(p)), *() if p.rotation_shape else (None,))
    assert torch.allclose(found, target, rtol=0, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SIZES), st.integers(0, 1000))
def test_fit_approaches_any_kernel(case: tuple[tuple[Any, ...], dict[str, Any]], seed: int) -> None:
    torch.manual_seed(seed)
    p = plan(case[0], **case[1])
    start = parameters(p)
    before = p.kernel(*start)
    target = torch.randn_like(before)
    found = p.kernel(*p.fit(target, *start), *() if p.rotation_shape else (None,))
    assert (found - target).norm() <= (before - target).norm() * (1 + 1e-12)


def test_kernel_too_small_for_its_stride_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kernel_size=\(1, 1\) in Layer is smaller than stride=\(2, 2\)"):
        plan((4, 8, 1), stride=2)
