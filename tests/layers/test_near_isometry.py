"""The start of rescaled convolutions: the identity, or rows that are orthogonal."""

from __future__ import annotations

import pytest
import torch

from onelip.layers.conv_arguments import conv_arguments
from onelip.layers.near_isometry import near_isometry, orthogonal_kernel


@pytest.mark.parametrize(("channels", "groups"), [(4, 1), (4, 2), (1, 1)])
@pytest.mark.parametrize("size", [2, 3, (1, 3)])
def test_identity(channels, groups, size):
    arguments = conv_arguments("Toy", channels, channels, size, 1, "same", groups=groups)
    shape = (channels, channels // groups, *arguments.kernel_size)
    kernel = near_isometry(arguments, shape, device=None, dtype=torch.float64)
    x = torch.randn(2, channels, 5, 6, dtype=torch.float64)
    padded = arguments.pad(x)
    assert torch.equal(torch.nn.functional.conv2d(padded, kernel, groups=groups), x)


@pytest.mark.parametrize(("sizes", "stride"), [((4, 4, 1), 1), ((3, 6, 3), 1), ((3, 12, 3), 2), ((2, 2, 4), (2, 1))])
def test_random_start_has_orthonormal_rows(sizes, stride):
    arguments = conv_arguments("Toy", *sizes, stride)
    shape = (sizes[1], sizes[0], *arguments.kernel_size)
    first, second = (near_isometry(arguments, shape, device=None, dtype=torch.float64).flatten(1) for _ in range(2))
    assert not torch.equal(first, second)
    gram = first @ first.T if sizes[1] <= sizes[0] * 4 and stride != 1 else first.T @ first
    kept = gram[gram.diagonal() > 0][:, gram.diagonal() > 0]
    torch.testing.assert_close(kept, torch.eye(len(kept), dtype=torch.float64))


def test_orthogonal_kernel_has_a_semi_orthogonal_matrix_for_each_group():
    for shape in ((6, 2, 3, 3), (30, 2, 2, 2)):
        kernel = orthogonal_kernel(2, shape, device=None, dtype=torch.float64)
        for matrix in kernel.detach().flatten(1).chunk(2):
            values = torch.linalg.svdvals(matrix)
            torch.testing.assert_close(values, torch.ones_like(values))
