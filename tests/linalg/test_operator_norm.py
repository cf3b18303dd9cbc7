"""The bound of the norm: above the singular values, close to them, exact for isometries, differentiable."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onelip.layers import AOCConv2d
from onelip.linalg import conv_singular_values
from onelip.linalg.operator_norm import divide_groups, limit_norm, operator_norm

CASES = [
    ((4, 4, 3, 3), {}),
    ((12, 3, 3, 3), {"stride": (2, 2)}),
    ((6, 3, 3, 2), {"stride": (2, 1), "dilation": (2, 2)}),
    ((3, 4, 3, 3), {"stride": (2, 2), "dilation": (3, 1)}),
    ((8, 2, 3, 3), {"groups": 2}),
    ((3, 5, 1, 1), {"stride": (2, 2)}),
    ((4, 2, 4, 4), {"stride": (4, 4)}),
    ((7, 5, 1, 1), {}),
]


def _norm(kernel: Tensor, stride=(1, 1), **options) -> float:  # type: ignore[no-untyped-def]
    # On an image of many pixels the norm of a circular convolution nears the supremum over all frequencies.
    size = (24 * stride[0], 24 * stride[1])
    return float(conv_singular_values(kernel, size, stride=stride, **options)[0])


@pytest.mark.parametrize(("shape", "options"), CASES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_bound_is_above_the_norm_and_close(shape, options, seed):
    kernel = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    norm, bound = _norm(kernel, **options), float(operator_norm(kernel, **options).max())
    assert norm <= bound * (1 + 1e-12)
    assert bound <= 1.08 * norm


def test_each_group_has_its_own_norm():
    kernel = torch.randn(6, 2, 3, 3, dtype=torch.float64)
    bounds = operator_norm(kernel, groups=3)
    for part, bound in zip(kernel.chunk(3), bounds, strict=True):
        torch.testing.assert_close(operator_norm(part)[0], bound)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"groups": 2}])
def test_exact_for_isometries(options):
    layer = AOCConv2d(4, 8, 3, **options, dtype=torch.float64).eval()
    stride, groups = (options.get("stride", 1),) * 2, options.get("groups", 1)
    bound = operator_norm(layer.weight.detach(), stride=stride, groups=groups)
    torch.testing.assert_close(bound, torch.ones_like(bound), rtol=1e-12, atol=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e6, 1e30])
def test_any_scale(scale):
    kernel = torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(operator_norm(scale * kernel) / scale, operator_norm(kernel), rtol=1e-4, atol=0)


def test_zero_kernels_and_groups():
    kernel = torch.randn(4, 2, 3, 3, dtype=torch.float64)
    kernel[2:] = 0
    kernel.requires_grad_()
    bounds = operator_norm(kernel, groups=2)
    assert bounds[1] == 0
    assert bounds[0] > 0
    (gradient,) = torch.autograd.grad(divide_groups(kernel, bounds).sum(), kernel)
    assert gradient.isfinite().all()


def test_gradient_is_that_of_the_bound():
    for options in ({}, {"stride": (2, 2)}, {"groups": 2}):
        kernel = torch.randn(4, 2, 3, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda k, o=options: operator_norm(k, **o), (kernel,))


def test_short_kernels_are_kept_to_the_bit():
    kernel = 0.01 * torch.randn(4, 4, 3, 3)
    assert torch.equal(limit_norm(kernel), kernel)
    assert float(operator_norm(limit_norm(100 * kernel, 0.5).double())) <= 0.5 * (1 + 1e-6)


def test_more_grid_points_are_tighter():
    kernel = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = [float(operator_norm(kernel, n_iter=8, oversampling=n)) for n in (4, 32)]
    assert values[1] < 0.9 * values[0]
