"""Residuals by spectral rescaling: W is short, the layer does not stretch, SLL's scales with one step."""

from __future__ import annotations

import pytest
import torch
from tests.layers.conv_grid import case_name, sampled_cases

from onelip.layers import SLLConv2d, SpectralRescalingResidualConv2d, SpectralRescalingResidualLinear
from onelip.layers.spectral_rescaling_residual import balanced_inner_channels, divide_inner_channels
from onelip.linalg import conv_singular_values


@pytest.mark.parametrize("case", sampled_cases(16, square=True, seed=4), ids=case_name)
def test_jacobian_is_short_over_shapes(case):
    options = {**case, "padding": "same"}
    image = options.pop("image")
    layer = SpectralRescalingResidualConv2d(**options, dtype=torch.float64)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn_like(p))
    x = torch.randn(1, case["in_channels"], *image, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda v: layer(v).flatten())(x).flatten(1)
    assert float(torch.linalg.matrix_norm(jacobian.detach(), 2)) <= 1 + 1e-10
    bound = layer.lipschitz_bound()
    assert 1 <= bound.value <= 1.1
    assert bound.proved


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("n_iter", [1, 2, 3])
def test_inner_weight_is_short(groups, n_iter):
    kernel = torch.randn(6, 4 // groups, 3, 3, dtype=torch.float64)
    short = divide_inner_channels(kernel, groups, n_iter)
    assert 0.3 < float(conv_singular_values(short, (12, 12), groups=groups)[0]) <= 1 + 1e-12
    again = divide_inner_channels(balanced_inner_channels(short, groups, n_iter), groups, n_iter)
    torch.testing.assert_close(again, short, atol=1e-8, rtol=0)


def test_one_step_is_sll_with_equal_weights():
    ours, theirs = SpectralRescalingResidualConv2d(4, 4, 3, n_iter=1), SLLConv2d(4, 4, 3)
    with torch.no_grad():
        theirs.raw_weight.copy_(ours.raw_weight)
        theirs.log_q.zero_()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_more_steps_are_longer():
    norms = []
    kernel = torch.randn(8, 8, 3, 3, dtype=torch.float64)
    for n_iter in (1, 2, 3, 4):
        norms.append(float(conv_singular_values(divide_inner_channels(kernel, 1, n_iter), (12, 12))[0]))
    assert norms == sorted(norms)
    assert norms[-1] > 0.9


def test_dense_form_is_the_gradient_step():
    layer = SpectralRescalingResidualLinear(5, 5, inner_features=7, n_iter=2)
    gram = layer.raw_weight @ layer.raw_weight.T
    w = layer.raw_weight / (gram @ gram).abs().sum(1, keepdim=True) ** 0.25
    x = torch.randn(3, 5)
    torch.testing.assert_close(layer(x), x - 2 * (x @ w.T + layer.bias).relu() @ w)


def test_zero_weight_is_the_identity():
    layer = SpectralRescalingResidualLinear(5, 5)
    with torch.no_grad():
        layer.raw_weight.zero_()
    x = torch.randn(3, 5)
    assert torch.equal(layer(x), x)
