"""Scaled l-infinity layers: row sums of 1 from any raw weight, and a gradient for every entry."""

from __future__ import annotations

import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import dense_matrix

from onelip import layers
from onelip.layers import LInfLinear, LInfScaledConv2d, LInfScaledLinear
from onelip.layers.linf_scaled import scale_to_l1_sphere


@pytest.mark.parametrize("case", sampled_cases(12, seed=7), ids=case_name)
def test_norms_over_shapes(case):
    layer = randomised(LInfScaledConv2d, case)
    largest = float(dense_matrix(layer, (case["in_channels"], *case["image"])).abs().sum(1).max())
    bound = layer.linf_bound()
    assert largest <= bound.value <= 1 + 1e-10
    assert bound.proved
    assert largest_gain(layer, case) <= layer.lipschitz_bound().value


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_rows_have_l1_norm_1(scale):
    rows = scale * torch.randn(5, 300)
    rows[2] = 0
    scaled = scale_to_l1_sphere(rows)
    sums = scaled.abs().sum(1)
    assert float(sums.max()) <= 1
    torch.testing.assert_close(sums, torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(scaled * rows.abs().double().sum(1, keepdim=True).float(), rows)


def test_gradient_is_that_of_the_formula():
    rows = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(scale_to_l1_sphere, (rows,))


def test_all_entries_keep_a_gradient_where_the_projection_drops_most():
    shares = []
    for kind in (LInfLinear, LInfScaledLinear):
        layer = kind(64, 8)
        with torch.no_grad():
            layer.raw_weight.copy_(torch.randn(8, 64))
        (layer(torch.randn(16, 64)) * torch.randn(16, 8)).sum().backward()
        shares.append(float((layer.raw_weight.grad != 0).double().mean()))
    assert shares[0] < 0.3
    assert shares[1] == 1


def test_starts_and_assignment():
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(LInfScaledConv2d(4, 4, 3, padding=1)(x), x)
    layer, weight = LInfScaledLinear(7, 4), torch.randn(4, 7)
    torch.testing.assert_close(layer.weight.detach().abs().sum(1), torch.ones(4))
    layer.weight = weight
    torch.testing.assert_close(layer.weight.detach(), weight / weight.abs().sum(1, keepdim=True))
    assert {layers.record(kind, "l-infinity-scaled").norm for kind in ("conv2d", "linear")} == {"linf"}
