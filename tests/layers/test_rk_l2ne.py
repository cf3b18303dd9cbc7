"""RK-L2NE: the published divisor, the norm over all shapes, weights up to a factor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import singular_values

from onelip.layers import NonexpansiveConv2d, NonexpansiveLinear, rk_l2ne
from onelip.layers.rk_l2ne import nonexpansive


@pytest.mark.parametrize("case", sampled_cases(24, seed=6), ids=case_name)
def test_norm_over_shapes(case):
    layer = randomised(NonexpansiveConv2d, case)
    norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
    assert norm <= bound.value <= 1 + 1e-10
    assert bound.proved


def _published(w: np.ndarray) -> np.ndarray:
    rows, columns = np.abs(w @ w.T).sum(1).max(), np.abs(w.T @ w).sum(1).max()
    return w / np.sqrt(min(rows, columns))


@pytest.mark.parametrize("shape", [(4, 6, 3, 3), (40, 2, 2, 2), (3, 5, 1, 1), (1, 4, 3, 1)])
def test_divisor_is_the_published_one(shape):
    kernel = torch.randn(shape, dtype=torch.float64)
    expected = _published(kernel.flatten(1).numpy())
    np.testing.assert_allclose(nonexpansive(kernel).flatten(1).numpy(), expected, rtol=1e-12)
    layer = NonexpansiveConv2d(shape[1], shape[0], shape[2:], dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(kernel)
    np.testing.assert_allclose(
        layer.weight.detach().flatten(1).numpy(), expected / math.sqrt(shape[2] * shape[3]), rtol=1e-12
    )


def test_strips_do_not_matter(monkeypatch):
    kernel = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    whole = nonexpansive(kernel, 2)
    monkeypatch.setattr(rk_l2ne, "_CHUNK", 40)
    torch.testing.assert_close(nonexpansive(kernel, 2), whole, rtol=1e-13, atol=0)


def test_gradient_is_that_of_the_formula():
    for groups in (1, 2):
        kernel = torch.randn(4, 2, 3, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda k, g=groups: nonexpansive(k, g), (kernel,))


def test_strided_layers_are_divided_by_the_patches_that_overlap():
    # No patches overlap where the stride is the kernel's size, so an orthogonal kernel stays an isometry.
    layer = NonexpansiveConv2d(4, 16, 2, 2)
    assert singular_values(layer, (4, 6, 6))[-1] > 1 - 1e-5


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_any_scale_and_zero(scale):
    kernel = torch.randn(3, 4, 3, 3)
    torch.testing.assert_close(nonexpansive(scale * kernel), nonexpansive(kernel))
    assert not nonexpansive(torch.zeros(3, 4, 3, 3)).any()


def test_dense_layer():
    layer, raw = NonexpansiveLinear(6, 4, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    orthogonal = layer.raw_weight.detach().clone()
    # Row sums of an orthogonal matrix' Gram matrix are 1, so it is kept.
    torch.testing.assert_close(layer.weight.detach(), orthogonal)
    layer.weight = raw
    np.testing.assert_allclose(layer.weight.detach().numpy(), _published(raw.numpy()), rtol=1e-12)
