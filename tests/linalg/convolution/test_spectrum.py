"""conv_singular_values against dense operators."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.linalg.convolution.dense import circular_operator

from onelip.linalg import conv_singular_values


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("size", [(6, 6), (6, 9), (12, 3)])
def test_all_singular_values_of_a_circular_convolution(
    size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], groups: int
) -> None:
    kernel = torch.randn(6, 4 // groups, 3, 2)
    dense = circular_operator(kernel, size, stride=stride, dilation=dilation, groups=groups)
    values = conv_singular_values(kernel, size, stride=stride, dilation=dilation, groups=groups)
    expected = np.linalg.svd(dense, compute_uv=False)
    # Groups with more outputs than inputs leave zeros that the dense operator may add; all others must agree.
    np.testing.assert_allclose(values, expected[: len(values)], atol=1e-10)
    np.testing.assert_allclose(expected[len(values) :], 0, atol=1e-10)


def test_kernels_larger_than_the_image_wrap_around() -> None:
    kernel = torch.randn(2, 3, 7, 5)
    dense = circular_operator(kernel, (3, 2), stride=(1, 1), dilation=(1, 1), groups=1)
    np.testing.assert_allclose(conv_singular_values(kernel, (3, 2)), np.linalg.svd(dense, compute_uv=False), atol=1e-10)


def test_image_must_be_a_multiple_of_the_stride() -> None:
    with pytest.raises(ValueError, match=r"image_size=\(5, 4\) is not a multiple of stride=\(2, 2\)"):
        conv_singular_values(torch.ones(1, 1, 2, 2), (5, 4), stride=(2, 2))
