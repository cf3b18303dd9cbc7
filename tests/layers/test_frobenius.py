"""Frobenius: the closed form bounds the norm at every frequency, and is below the published one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases

from onelip.layers import FrobeniusConv2d, FrobeniusLinear
from onelip.layers.conv_arguments import conv_arguments
from onelip.layers.frobenius import frobenius_norm
from onelip.layers.rko import patch_overlap
from onelip.linalg import polyphase


@pytest.mark.parametrize("case", sampled_cases(24, seed=7), ids=case_name)
def test_norm_over_shapes(case):
    layer = randomised(FrobeniusConv2d, case)
    norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
    assert norm <= bound.value <= 1 + 1e-10
    assert bound.proved


@pytest.mark.parametrize(
    ("sizes", "stride", "dilation"),
    [
        ((4, 3, 3), (1, 1), (1, 1)),
        ((4, 3, 3), (2, 2), (1, 1)),
        ((1, 1, 5), (1, 1), (1, 1)),
        ((2, 5, 3), (2, 3), (2, 1)),
        ((3, 2, 4), (4, 4), (1, 1)),
        ((3, 2, 1), (1, 1), (1, 1)),
    ],
)
def test_bound_of_the_norm_at_every_frequency(sizes, stride, dilation):
    n_in, n_out, k = sizes
    kernel = torch.randn(n_out, n_in, k, k, dtype=torch.float64)
    bound = float(frobenius_norm(kernel, stride, dilation)[0])
    spectrum = np.fft.fft2(polyphase(kernel, stride, dilation).numpy(), (64, 64))
    largest = np.sqrt((np.abs(spectrum) ** 2).sum((0, 1)).max())
    overlap = patch_overlap(conv_arguments("Toy", n_in, n_out, k, stride, 0, dilation))
    assert largest <= bound * (1 + 1e-12)
    assert bound <= math.sqrt(overlap) * float(kernel.norm()) * (1 + 1e-12)
    if overlap == 1:
        assert bound == pytest.approx(float(kernel.norm()), rel=1e-12)


def test_tight_for_positive_kernels():
    # All frequencies add up at 0, where a mean filter has its norm.
    kernel = torch.ones(1, 1, 3, 3, dtype=torch.float64) / 9
    assert float(frobenius_norm(kernel)[0]) == pytest.approx(1, rel=1e-12)


def test_one_sided_and_by_groups():
    layer = FrobeniusConv2d(4, 4, 3, groups=2)
    with torch.no_grad():
        layer.raw_weight.copy_(0.01 * torch.randn(4, 2, 3, 3))
        layer.raw_weight[:2] *= 1000
    raw, weight = layer.raw_weight.detach(), layer.weight.detach()
    assert torch.equal(raw[2:], weight[2:])
    torch.testing.assert_close(frobenius_norm(weight, groups=2)[0], torch.tensor(1.0))


def test_gradient_is_that_of_the_formula():
    for options in ({}, {"stride": (2, 2)}, {"groups": 2}):
        kernel = torch.randn(4, 2, 3, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda k, o=options: frobenius_norm(k, **o), (kernel,))
    zero = torch.zeros(2, 2, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(frobenius_norm(zero).sum(), zero)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_any_scale(scale):
    kernel = torch.randn(3, 4, 3, 3)
    torch.testing.assert_close(frobenius_norm(scale * kernel) / scale, frobenius_norm(kernel))


def test_dense_layer():
    layer, raw = FrobeniusLinear(6, 4), torch.randn(4, 6)
    layer.weight = raw
    torch.testing.assert_close(layer.weight.detach(), raw / raw.norm())
    layer.weight = raw / 100
    assert torch.equal(layer.weight, raw / 100)
