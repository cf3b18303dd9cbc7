"""conv_norm_bound is above the norm of every operator the kernel makes, and close."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.linalg.convolution.supremum import symbol_supremum
from tests.linalg.matrices import dense_norm, orthogonal_kernel

from onelip.linalg import autocorrelation, conv_norm_bound, conv_singular_values

FINE_GRID = 48
"""Image size whose frequencies stand for all: at k = 3 the missed maximum is below 0.3 %."""

ORTHOGONAL_GAP = 1e-6
GENERAL_GAP = 0.03
SUPREMUM_GAP = 2e-6


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, object]:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    kernel = torch.randn(
        groups * draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 4)),
        generator=torch.Generator().manual_seed(draw(st.integers(0, 99))),
    )
    return {"kernel": kernel, "stride": draw(pair), "dilation": draw(pair), "groups": groups}


@given(convolutions(), st.tuples(st.integers(1, 8), st.integers(1, 8)), st.integers(0, 3))
@settings(max_examples=60)
def test_zero_padding_of_any_amount(case: dict, size: tuple[int, int], extra: int) -> None:
    bound = conv_norm_bound(**case)
    reach = tuple(d * (k - 1) for d, k in zip(case["dilation"], case["kernel"].shape[2:], strict=True))
    padding = (reach[0] + extra, reach[1])
    assert dense_norm(size=size, padding=padding, **case) <= bound.value * (1 + 1e-13)
    assert bound.proved


@given(convolutions(), st.tuples(st.integers(3, 5), st.integers(3, 5)))
@settings(max_examples=60)
def test_circular_padding_of_half_the_kernel(case: dict, times: tuple[int, int]) -> None:
    bound = conv_norm_bound(**case)
    size = tuple(s * t * 2 for s, t in zip(case["stride"], times, strict=True))
    reach = tuple(d * (k - 1) // 2 for d, k in zip(case["dilation"], case["kernel"].shape[2:], strict=True))
    padding = (min(reach[0], size[0]), min(reach[1], size[1]))
    norm = dense_norm(size=size, padding=padding, padding_mode="circular", **case)
    assert norm <= bound.value * (1 + 1e-13)


@given(convolutions())
@settings(max_examples=40)
def test_general_kernels_are_tight(case: dict) -> None:
    size = tuple(FINE_GRID * s for s in case["stride"])
    top = float(conv_singular_values(image_size=size, **case)[0])
    bound = conv_norm_bound(**case).value
    assert top * (1 - 1e-12) <= bound <= top * (1 + GENERAL_GAP)
    assert bound <= _supremum(**case) * (1 + SUPREMUM_GAP)


def _supremum(kernel: torch.Tensor, stride: tuple[int, int], dilation: tuple[int, int], groups: int) -> float:
    taps = autocorrelation(kernel.double(), stride=stride, dilation=dilation, groups=groups, side="out")
    return max(symbol_supremum(t) for t in taps.unflatten(0, (groups, -1))) ** 0.5


@pytest.mark.parametrize(("channels", "size"), [(16, 3), (24, 3), (8, 5)])
def test_wider_kernels_reach_the_supremum(channels: int, size: int) -> None:
    kernel = torch.randn(channels, channels, size, size)
    top = _supremum(kernel, (1, 1), (1, 1), 1)
    assert top * (1 - 1e-12) <= conv_norm_bound(kernel).value <= top * (1 + SUPREMUM_GAP)


def test_saturated_kernels_reach_the_supremum() -> None:
    # A nearly orthogonal kernel whose largest singular values are all about the same.
    kernel = orthogonal_kernel(16, 3) + 0.02 * torch.randn(16, 16, 3, 3)
    kernel = kernel / conv_singular_values(kernel, (8, 8))[0]
    top = _supremum(kernel, (1, 1), (1, 1), 1)
    assert top * (1 - 1e-12) <= conv_norm_bound(kernel).value <= top * (1 + SUPREMUM_GAP)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("channels", "size"), [(2, 2), (16, 3), (48, 3), (8, 5)])
def test_orthogonal_kernels_are_proved_to_six_digits(channels: int, size: int, dtype: torch.dtype) -> None:
    kernel = orthogonal_kernel(channels, size).to(dtype)
    top = float(conv_singular_values(kernel, (16, 16))[0])
    for dilation in ((1, 1), (3, 2)):
        bound = conv_norm_bound(kernel, dilation=dilation).value
        assert top * (1 - 1e-13) <= bound <= top * (1 + ORTHOGONAL_GAP)


def test_nearly_orthogonal_kernels_are_proved_by_two_sided_frequencies() -> None:
    kernel = orthogonal_kernel(12, 3)
    kernel = kernel + 1e-5 * torch.randn_like(kernel)
    bound = conv_norm_bound(kernel)
    top = float(conv_singular_values(kernel, (FINE_GRID, FINE_GRID))[0])
    assert bound.method == "frequencies"
    assert top - 1 > 1e-5
    assert top * (1 - 1e-13) <= bound.value <= 1 + 1.25 * (top - 1)


@pytest.mark.parametrize("out", [64, 12, 5])
def test_strided_isometries(out: int) -> None:
    tall = torch.linalg.qr(torch.randn(max(out, 12), min(out, 12), dtype=torch.float64))[0]
    matrix = tall if out >= 12 else tall.mT
    bound = conv_norm_bound(matrix.reshape(out, 3, 2, 2).float(), stride=(2, 2))
    assert 1 - 1e-6 <= bound.value <= 1 + ORTHOGONAL_GAP


@pytest.mark.parametrize("shape", [(8, 8, 3, 3), (4, 12, 3, 3), (12, 4, 3, 3), (6, 6, 1, 5)])
def test_aol_kernels_are_proved_to_be_at_most_one(shape: tuple[int, int, int, int]) -> None:
    # Few large values make the AOL bound attained, where sampling frequencies would lose two per cent.
    kernel = torch.rand(shape, dtype=torch.float64) + 1e-3
    sums = autocorrelation(kernel, side="in").abs().sum((1, 2, 3))
    kernel = kernel / sums.sqrt()[:, None, None]
    for stride in ((1, 1), (2, 2)):
        assert conv_norm_bound(kernel, stride=stride).value <= 1 + 1e-9
    assert conv_norm_bound(kernel).value >= conv_singular_values(kernel, (8, 8))[0] * (1 - 1e-13)


def test_groups_take_the_largest_not_the_product() -> None:
    kernels = [0.5 * torch.eye(2), 3.0 * torch.eye(2), torch.eye(2)]
    kernel = torch.cat(kernels)[:, :, None, None]
    assert conv_norm_bound(kernel, groups=3).value == pytest.approx(3.0, rel=1e-9)
    depthwise = torch.randn(10, 1, 3, 3)
    largest = max(conv_norm_bound(k[None]).value for k in depthwise)
    assert conv_norm_bound(depthwise, groups=10).value == pytest.approx(largest, rel=0.02)


def test_box_filter_is_attained() -> None:
    assert conv_norm_bound(torch.ones(1, 1, 5, 3)).value == pytest.approx(15.0, rel=1e-12)
    assert conv_norm_bound(torch.ones(1, 1, 5, 3)).value >= 15.0


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-160, 1e-30, 1e30, 1e150, 1e300])
def test_extreme_scales(scale: float) -> None:
    kernel = torch.tensor([[3.0, -1.0], [2.0, 1.0]], dtype=torch.float64).reshape(2, 2, 1, 1) * scale
    with mpmath.workdps(50):
        exact = mpmath.matrix(kernel[:, :, 0, 0].tolist())
        norm = mpmath.sqrt(max(mpmath.eigsy(exact.T * exact, eigvals_only=True)))
        bound = mpmath.mpf(conv_norm_bound(kernel).value)
        assert norm <= bound <= norm * (1 + mpmath.mpf("2e-6")) + 2 * mpmath.mpf(5e-324)
        # A target far above the norm changes nothing but the effort.
        assert norm <= mpmath.mpf(conv_norm_bound(kernel, at_least=1.0).value) <= max(1, norm * (1 + 2e-6))


def test_bound_is_above_the_norm_to_fifty_digits() -> None:
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        kernel = torch.randn(1, 1, 2, 3, generator=generator, dtype=torch.float64)
        if seed % 2:
            kernel = (kernel / conv_norm_bound(kernel).value).float()
        bound = conv_norm_bound(kernel).value
        with mpmath.workdps(50):
            taps = [[mpmath.mpf(v) for v in row] for row in kernel[0, 0].double().tolist()]
            for h in range(12):
                for w in range(12):
                    turn = [
                        taps[a][b] * mpmath.expjpi(mpmath.mpf(h * a + w * b) / 6) for a in range(2) for b in range(3)
                    ]
                    assert abs(mpmath.fsum(turn)) <= mpmath.mpf(bound)


def test_zero_kernels_and_zero_channels() -> None:
    assert conv_norm_bound(torch.zeros(3, 2, 3, 3)).value == 0.0
    kernel = torch.zeros(3, 3, 3, 3)
    kernel[1, 1, 1, 1] = 1.0
    assert conv_norm_bound(kernel).value == pytest.approx(1.0, abs=1e-9)
    assert conv_norm_bound(torch.zeros(0, 2, 3, 3)).value == 0.0


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kernel of shape \(2, 2, 3\) with groups=1 is not a convolution"):
        conv_norm_bound(torch.ones(2, 2, 3))
    with pytest.raises(ValueError, match="groups=2 is not a convolution"):
        conv_norm_bound(torch.ones(3, 2, 3, 3), groups=2)
    with pytest.raises(ValueError, match=r"stride=\(0, 1\) does not fit"):
        conv_norm_bound(torch.ones(2, 2, 3, 3), stride=(0, 1))
    with pytest.raises(ValueError, match="NaN or infinite"):
        conv_norm_bound(torch.full((2, 2, 3, 3), float("inf")))
    with pytest.raises(ValueError, match=r"torch.int64 has no proved norm"):
        conv_norm_bound(torch.ones(2, 2, 3, 3, dtype=torch.int64))


def test_kernel_is_left_alone() -> None:
    for kernel in (torch.randn(2, 3, 3, 3, dtype=torch.float64), torch.randn(3, 3, 1, 1, dtype=torch.float64)):
        before = kernel.clone()
        conv_norm_bound(kernel)
        assert torch.equal(kernel, before)


def test_wide_kernels_within_three_per_cent() -> None:
    kernel = torch.randn(96, 80, 3, 3)
    top = float(conv_singular_values(kernel, (16, 16))[0])
    assert np.float64(top) * (1 - 1e-12) <= conv_norm_bound(kernel).value <= top * 1.04


@pytest.mark.parametrize("room", [1.02, 1.1, 1.5])
@pytest.mark.parametrize("case", [{}, {"groups": 2}, {"stride": (2, 2)}, {"dilation": (2, 1)}])
def test_a_wanted_bound_is_met_from_a_little_below_and_never_undercut(case: dict, room: float) -> None:
    generator = torch.Generator().manual_seed(1)
    kernel = torch.randn(8, 8 // case.get("groups", 1), 3, 3, generator=generator, dtype=torch.float64)
    options = {"stride": (1, 1), "dilation": (1, 1), "groups": 1} | case
    top = _supremum(kernel, **options)
    found = conv_norm_bound(kernel, **options, at_least=top * room)
    assert top * (1 - 1e-12) <= found.value <= top * room
    # A wanted bound below the norm changes nothing.
    below = conv_norm_bound(kernel, **options, at_least=top * 0.98)
    assert top * (1 - 1e-12) <= below.value <= top * (1 + SUPREMUM_GAP)


@pytest.mark.parametrize("slack", [1e-4, 1e-2])
def test_slack_loosens_the_bound_by_no_more(slack: float) -> None:
    kernel = torch.randn(8, 8, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    top = _supremum(kernel, (1, 1), (1, 1), 1)
    assert top * (1 - 1e-12) <= conv_norm_bound(kernel, slack=slack).value <= top * (1 + slack + SUPREMUM_GAP)


def test_an_aim_far_above_the_norm_of_subnormal_weights():
    kernel = torch.full((2, 2, 3, 3), 2.0**-1070, dtype=torch.float64)
    bound = conv_norm_bound(kernel, at_least=1.0)
    assert bound.proved
    assert 2.0**-1066 <= bound.value <= 1
