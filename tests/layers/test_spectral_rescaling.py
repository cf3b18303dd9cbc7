"""Spectral rescaling: 1-Lipschitz for every shape, nearer to 1 with more steps, AOL with one; weights come back."""

from __future__ import annotations

import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import dense_matrix, singular_values

from onelip.layers import (
    AOCConv2d,
    AOLConv2d,
    AOLLinear,
    SpectralRescalingConv2d,
    SpectralRescalingConvTranspose2d,
    SpectralRescalingLinear,
)
from onelip.layers.spectral_rescaling import spectral_rescaling, spectral_rescaling_right_inverse

CASES = [
    ((4, 4, 3), {"padding": 1}, (4, 5, 7)),
    ((6, 3, (3, 2)), {"padding": (1, 0)}, (6, 5, 5)),
    ((8, 4, 3), {"padding": 1, "groups": 2}, (8, 6, 6)),
    ((3, 8, 3), {"padding": 1, "stride": 2}, (3, 6, 8)),
    ((2, 16, 3), {"padding": 1, "stride": 2}, (2, 6, 8)),
    ((3, 12, 3), {"padding": 2, "stride": 2, "dilation": 2}, (3, 8, 8)),
]


@pytest.mark.parametrize("case", sampled_cases(24, seed=3), ids=case_name)
def test_norm_over_shapes(case):
    layer = randomised(SpectralRescalingConv2d, case)
    norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
    assert norm <= 1 + 1e-10
    assert norm <= bound.value <= 1.02
    assert bound.proved


@pytest.mark.parametrize(("sizes", "options", "shape"), CASES, ids=str)
def test_one_step_is_aol(sizes, options, shape):
    ours = SpectralRescalingConv2d(*sizes, **options, n_iter=1, dtype=torch.float64)
    theirs = AOLConv2d(*sizes, **options, dtype=torch.float64)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.raw_weight.copy_(torch.randn(layer.raw_weight.shape, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-12, atol=1e-14)


def test_more_steps_come_nearer_to_norm_one():
    # The kernel on which another library's form was measured: 0.511, 0.738, 0.885, 0.957.
    kernel = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    norms = []
    for n_iter in (1, 2, 3, 4):
        layer = SpectralRescalingConv2d(16, 16, 3, padding=1, padding_mode="circular", n_iter=n_iter)
        with torch.no_grad():
            layer.raw_weight.copy_(kernel)
        norms.append(float(singular_values(layer, (16, 8, 8))[0]))
    assert norms == pytest.approx([0.5, 0.73, 0.88, 0.95], abs=0.04)


@pytest.mark.parametrize(("sizes", "options", "shape"), [CASES[i] for i in (0, 2, 3, 4)], ids=str)
def test_transposed_is_the_adjoint(sizes, options, shape):
    into, out, *rest = sizes
    layer = SpectralRescalingConvTranspose2d(out, into, *rest, **options, padding_mode="circular", bias=False)
    forth = SpectralRescalingConv2d(*sizes, **options, padding_mode="circular", bias=False)
    with torch.no_grad():
        forth.raw_weight.copy_(torch.randn_like(forth.raw_weight))
    layer.load_state_dict(forth.state_dict())
    small = (out, *(n // options.get("stride", 1) for n in shape[1:]))
    torch.testing.assert_close(dense_matrix(layer, small), dense_matrix(forth, shape).T)


@pytest.mark.parametrize("n_iter", [1, 2, 3, 4])
@pytest.mark.parametrize(("sizes", "options", "shape"), CASES, ids=str)
def test_its_own_weights_come_back(sizes, options, shape, n_iter):
    target = SpectralRescalingConv2d(*sizes, **options, n_iter=n_iter, dtype=torch.float64)
    with torch.no_grad():
        target.raw_weight.copy_(torch.randn_like(target.raw_weight))
    layer = SpectralRescalingConv2d(*sizes, **options, n_iter=n_iter, dtype=torch.float64)
    layer.weight = target.weight.detach()
    torch.testing.assert_close(layer.weight, target.weight, atol=1e-8, rtol=0)


def test_other_weights_come_back_up_to_a_factor():
    target = torch.randn(4, 4, 3, 3, dtype=torch.float64)
    layer = SpectralRescalingConv2d(4, 4, 3, dtype=torch.float64)
    layer.weight = target
    ratio = layer.weight.detach() / target
    torch.testing.assert_close(ratio, ratio[0, 0, 0, 0].expand_as(ratio), atol=1e-8, rtol=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e9, 1e30])
def test_scale_of_the_raw_weight_does_not_matter(scale):
    kernel = torch.randn(3, 4, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(spectral_rescaling(scale * kernel, 3), spectral_rescaling(kernel, 3))


def test_orthogonal_kernels_are_left_alone():
    for options in ({}, {"stride": 2}):
        kernel = AOCConv2d(3, 6, 3, **options, dtype=torch.float64).weight.detach()
        stride = (options.get("stride", 1),) * 2
        torch.testing.assert_close(spectral_rescaling(kernel, 3, stride), kernel, atol=1e-12, rtol=0)


def test_zero_channels_and_zero_kernels():
    kernel = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    kernel[:, 1] = 0
    found = spectral_rescaling(kernel, 3)
    assert not found[:, 1].any()
    assert found.isfinite().all()
    zero = torch.zeros(4, 3, 3, 3, requires_grad=True)
    spectral_rescaling(zero, 3).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
    assert not spectral_rescaling_right_inverse(zero.detach().double(), 3).any()


def test_gradient_is_that_of_the_formula():
    for options in ({}, {"stride": (2, 2)}, {"groups": 2}):
        kernel = torch.randn(4, 2, 3, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda k, o=options: spectral_rescaling(k, 3, **o), (kernel,))


def test_square_convolution_starts_as_the_identity():
    x = torch.randn(2, 6, 5, 5)
    for kind in (SpectralRescalingConv2d, SpectralRescalingConvTranspose2d):
        assert torch.equal(kind(6, 6, 3, padding=1, groups=2)(x), x)


def test_dense_layer_is_a_single_tap():
    layer, raw = SpectralRescalingLinear(5, 3, n_iter=2), torch.randn(3, 5)
    with torch.no_grad():
        layer.raw_weight.copy_(raw)
    # W W^T has 3 rows, the fewer.
    gram = raw @ raw.T
    expected = raw / (gram @ gram).abs().sum(1, keepdim=True) ** 0.25
    torch.testing.assert_close(layer.weight, expected)
    layer.weight = layer.weight.detach()
    torch.testing.assert_close(layer.weight, expected, atol=1e-6, rtol=0)
    aol, single = AOLLinear(5, 3), SpectralRescalingLinear(5, 3, n_iter=1)
    single.load_state_dict(aol.state_dict())
    torch.testing.assert_close(single.weight, aol.weight)


def test_dense_start_is_orthogonal():
    assert singular_values(SpectralRescalingLinear(5, 3), (5,))[-1] > 0.9999
