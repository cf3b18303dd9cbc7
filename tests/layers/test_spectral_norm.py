"""Spectral normalisation: divided by the norm of the convolution, not of the reshaped kernel."""

from __future__ import annotations

import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import singular_values
from torch import nn

from onelip.layers import SpectralNormConv2d, SpectralNormLinear


@pytest.mark.parametrize("case", sampled_cases(24, seed=1), ids=case_name)
def test_norm_over_shapes(case):
    layer = randomised(SpectralNormConv2d, case)
    norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
    assert norm <= 1 + 1e-10
    # The proof for all sizes may take a coarser grid than the layer did.
    assert norm <= bound.value <= 1.02
    assert bound.value > 0.85
    assert bound.proved


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_norm_is_near_one_at_every_scale(scale):
    layer = SpectralNormConv2d(4, 4, 3, padding=1, padding_mode="circular")
    with torch.no_grad():
        layer.raw_weight.copy_(scale * torch.randn_like(layer.raw_weight))
    assert 0.9 < float(singular_values(layer, (4, 12, 12))[0]) <= 1 + 1e-6


def test_reshaped_kernel_is_not_the_convolution():
    # A kernel of ones: torch's normalisation of the reshaped matrix leaves a norm of 3.
    kernel = torch.ones(4, 4, 3, 3)
    reshaped = nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"))
    ours = SpectralNormConv2d(4, 4, 3, padding=1, padding_mode="circular")
    with torch.no_grad():
        reshaped.parametrizations.weight.original.copy_(kernel)
        ours.raw_weight.copy_(kernel)
    for _ in range(50):
        reshaped(torch.zeros(1, 4, 6, 6))
    theirs = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular", bias=False)
    with torch.no_grad():
        theirs.weight.copy_(reshaped.eval().weight)
    matrix = theirs(torch.eye(144).view(144, 4, 6, 6)).flatten(1)
    assert float(torch.linalg.matrix_norm(matrix.detach(), 2)) > 2.9
    assert 0.9 < float(singular_values(ours, (4, 6, 6))[0]) <= 1 + 1e-6


def test_zero_weight_stays_zero():
    for layer in (SpectralNormConv2d(4, 4, 3), SpectralNormLinear(4, 3)):
        with torch.no_grad():
            layer.raw_weight.zero_()
        assert not layer.weight.any()
        layer.weight.sum().backward()
        assert layer.raw_weight.grad is not None
        assert layer.raw_weight.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (6, 6), (9, 4), (40, 60)])
def test_dense_norm(shape):
    layer = SpectralNormLinear(shape[1], shape[0])
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn(shape))
    raw, weight = layer.raw_weight.detach(), layer.weight.detach()
    norm = torch.linalg.matrix_norm(raw, 2)
    assert 0.98 < float(torch.linalg.matrix_norm(weight, 2)) <= 1 + 1e-6
    torch.testing.assert_close(weight / weight.norm(), raw / raw.norm())
    assert float(raw.norm() / weight.norm()) >= float(norm) * (1 - 1e-6)


def test_orthogonal_weights_are_kept():
    layer = SpectralNormLinear(64, 64, dtype=torch.float64)
    raw = layer.raw_weight.detach().clone()
    torch.testing.assert_close(layer.weight.detach(), raw, rtol=1e-12, atol=1e-12)


def test_more_squarings_are_tighter():
    torch.manual_seed(0)
    raw = torch.randn(32, 32)
    norms = []
    for n_iter in (1, 3, 8):
        layer = SpectralNormLinear(32, 32, n_iter=n_iter)
        with torch.no_grad():
            layer.raw_weight.copy_(raw)
        norms.append(float(torch.linalg.matrix_norm(layer.weight.detach(), 2)))
    assert norms == sorted(norms)
    assert norms[-1] > 0.999
