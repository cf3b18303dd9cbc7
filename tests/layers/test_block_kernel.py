"""How an orthogonal kernel is planned."""

from __future__ import annotations

import pytest
import torch
from tests.layers.dense import singular_values

from onelip.layers import AOCConv2d
from onelip.layers.block_kernel import block_plan
from onelip.layers.conv_arguments import conv_arguments
from onelip.linalg.block_convolution import HEIGHT, WIDTH


@pytest.mark.parametrize(
    ("arguments", "start", "axes", "channels", "matrix"),
    [
        # in, out, kernel, stride: start, axes of the factors, channels between, shape of the matrix
        ((4, 6, 3), (1, 1), (HEIGHT, WIDTH) * 2, 6, (1, 6, 4)),
        ((6, 4, 3), (1, 1), (HEIGHT, WIDTH) * 2, 6, (1, 4, 6)),
        ((3, 8, 3, 2), (2, 2), (HEIGHT, WIDTH), 3, (1, 8, 12)),
        ((3, 64, 3, 2), (2, 2), (HEIGHT, WIDTH), 16, (1, 64, 64)),
        ((3, 5, (1, 4), (2, 2)), (1, 2), (WIDTH, WIDTH), 3, (1, 5, 6)),
        ((4, 4, 2, 2), (2, 2), (), 4, (1, 4, 16)),
    ],
)
def test_plan(arguments, start, axes, channels, matrix) -> None:  # type: ignore[no-untyped-def]
    plan = block_plan(conv_arguments("Layer", *arguments))
    assert (plan.start, plan.axes, plan.channels, plan.matrix_shape) == (start, axes, channels, matrix)


def test_transposed_plan_swaps_the_channels() -> None:
    forth = block_plan(conv_arguments("Layer", 3, 8, 3, 2))
    assert block_plan(conv_arguments("Layer", 8, 3, 3, 2), transposed=True) == forth


def test_groups_are_planned_each() -> None:
    plan = block_plan(conv_arguments("Layer", 6, 12, 3, groups=3))
    assert (plan.rows, plan.columns, plan.channels, plan.frames_shape) == (4, 2, 4, (4, 3, 4, 2))
    assert plan.matrix_shape == (3, 4, 2)


@pytest.mark.parametrize(
    ("ranks", "arguments", "matrix", "frames"),
    [
        # in, out, kernel, stride: shapes of the matrix and of the frames
        ("free", (4, 6, 3), (1, 6, 4), (4, 1, 6, 6)),
        ("doubled", (4, 6, 3), (1, 12, 4), (4, 1, 12, 6)),
        ("doubled", (6, 4, 3), (1, 4, 12), (4, 1, 12, 6)),
        ("doubled", (1, 5, 3, 2), (1, 10, 8), (2, 1, 2, 1)),
        ("half", (1, 1, 3), (1, 1, 1), (4, 1, 1, 1)),
    ],
)
def test_ranks_decide_the_shapes(ranks, arguments, matrix, frames) -> None:  # type: ignore[no-untyped-def]
    plan = block_plan(conv_arguments("Layer", *arguments), ranks=ranks)
    assert (plan.matrix_shape, plan.frames_shape) == (matrix, frames)


def test_one_channel_learns_its_rank_and_unknown_ranks_are_refused() -> None:
    assert block_plan(conv_arguments("Layer", 2, 2, 3, groups=2)).ranks == "free"
    with pytest.raises(ValueError, match=r"rank='fre' in Layer is not known: .*did you mean 'free'"):
        block_plan(conv_arguments("Layer", 4, 4, 3), ranks="fre")  # type: ignore[arg-type]


def test_taps_on_a_grid_are_planned_on_it() -> None:
    # Stride 4 and dilation 2 are stride 2 and dilation 1 on every second pixel.
    plan = block_plan(conv_arguments("Layer", 4, 8, 3, 4, 0, 2))
    assert (plan.start, plan.axes, plan.matrix_shape) == ((2, 2), (HEIGHT, WIDTH), (1, 8, 16))


@pytest.mark.parametrize(("stride", "dilation"), [(2, 2), (4, 2), ((1, 2), (2, 4))])
def test_stride_and_dilation_with_a_common_divisor_give_a_co_isometry(stride, dilation) -> None:  # type: ignore[no-untyped-def]
    layer = AOCConv2d(4, 2, 3, stride, dilation, dilation, padding_mode="circular")
    values = singular_values(layer, (4, 8, 8))
    torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=1e-6)
