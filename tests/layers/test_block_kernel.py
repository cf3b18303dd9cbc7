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
    assert (plan.rows, plan.columns, plan.channels, plan.rank) == (4, 2, 4, 2)
    assert plan.matrix_shape == (3, 4, 2)


@pytest.mark.parametrize(("stride", "dilation"), [(2, 2), (4, 2), ((1, 2), (2, 4))])
def test_stride_and_dilation_with_a_common_divisor_give_a_co_isometry(stride, dilation) -> None:  # type: ignore[no-untyped-def]
    layer = AOCConv2d(4, 2, 3, stride, dilation, dilation, padding_mode="circular")
    values = singular_values(layer, (4, 8, 8))
    torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=1e-6)
