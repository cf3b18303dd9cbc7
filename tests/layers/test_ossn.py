"""OSSN: the norm of the convolution is what is limited, in every state; short weights are left alone."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import singular_values

from onelip.layers import OSSNConv2d, OSSNLinear


@pytest.mark.parametrize("case", sampled_cases(24), ids=case_name)
def test_norm_over_shapes(case):
    layer = randomised(OSSNConv2d, case)
    norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
    assert norm <= 1 + 1e-10
    # The proof for all sizes may take a coarser grid than the layer did.
    assert norm <= bound.value <= 1.02
    assert bound.proved


def _constant(scale: float) -> torch.Tensor:
    # Every pixel the mean of its neighbours: the singular vector of the largest value is constant over the image.
    return scale * torch.ones(4, 4, 3, 3) / 36


def _alternating(scale: float) -> torch.Tensor:
    # The largest value belongs to the checkerboard, which is orthogonal to every constant image.
    signs = torch.tensor([[1.0, -1, 1], [-1, 1, -1], [1, -1, 1]])
    return scale * signs * torch.ones(4, 4, 1, 1) / 36


def _published_norm(kernels: list[torch.Tensor], size: int) -> float:
    # One stored vector over all forward passes, two steps of the power method in each: the norm that eval divides by.
    u = torch.randn(1, 4, size, size, generator=torch.Generator().manual_seed(0))
    for kernel in kernels:
        for _ in range(2):
            v = F.normalize(
                F.conv_transpose2d(F.pad(u, (1, 1, 1, 1), mode="circular"), kernel, padding=2), dim=(1, 2, 3)
            )
            u = F.normalize(F.conv2d(F.pad(v, (1, 1, 1, 1), mode="circular"), kernel), dim=(1, 2, 3))
    return float((u * F.conv2d(F.pad(v, (1, 1, 1, 1), mode="circular"), kernels[-1])).sum())


def test_never_stuck_on_a_constant_vector():
    start, later = _constant(10), _constant(1) + _alternating(10)
    stuck = _published_norm([start] * 20 + [later] * 100, size=8)
    assert stuck < 2.2  # the gain of constant images; that of the checkerboard is 10 - 1 / 9
    layer = OSSNConv2d(4, 4, 3, padding=1, padding_mode="circular", bias=False)
    x = torch.randn(2, 4, 8, 8)
    for kernel in [start] * 20 + [later]:
        with torch.no_grad():
            layer.raw_weight.copy_(kernel)
        layer.train()(x)
    for training in (True, False):
        assert 0.9 < float(singular_values(layer.train(training), (4, 8, 8))[0]) <= 1 + 1e-6


def test_never_stale_in_eval():
    layer = OSSNConv2d(4, 4, 3, padding=1, padding_mode="circular")
    layer(torch.randn(2, 4, 8, 8))
    with torch.no_grad():
        layer.raw_weight.mul_(3)
    assert float(singular_values(layer.eval(), (4, 8, 8))[0]) <= 1 + 1e-6


def test_eval_before_any_training_forward():
    layer = OSSNConv2d(4, 4, 3, padding=1)
    with torch.no_grad():
        layer.raw_weight.copy_(20 * torch.randn_like(layer.raw_weight))
    fresh = OSSNConv2d(4, 4, 3, padding=1).eval()
    fresh.load_state_dict(layer.state_dict())
    for subject in (layer.eval(), copy.deepcopy(layer), fresh):
        assert float(singular_values(subject, (4, 6, 6))[0]) <= 1 + 1e-6


def test_one_sided():
    layer, short = OSSNConv2d(4, 4, 3), 0.01 * torch.randn(4, 4, 3, 3)
    layer.weight = short
    assert torch.equal(layer.weight, short)
    dense = OSSNLinear(5, 3)
    dense.weight = torch.eye(3, 5) / 2
    assert torch.equal(dense.weight, torch.eye(3, 5) / 2)


@pytest.mark.parametrize("coeff", [0.25, 1])
def test_coeff_is_the_norm_allowed(coeff):
    layer = OSSNConv2d(4, 6, 3, padding=1, padding_mode="circular", coeff=coeff)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn_like(layer.raw_weight))
    assert 0.85 * coeff < float(singular_values(layer, (4, 12, 12))[0]) <= coeff * (1 + 1e-6)


@pytest.mark.parametrize("coeff", [0, -1, 1.5, True, "1", float("nan")])
def test_other_coeffs_are_refused(coeff):
    for make in (lambda: OSSNConv2d(4, 4, 3, coeff=coeff), lambda: OSSNLinear(4, 4, coeff=coeff)):
        with pytest.raises(ValueError, match=r"coeff=.* must be a number above 0 and at most 1"):
            make()


def test_dense_norm():
    layer = OSSNLinear(7, 5)
    with torch.no_grad():
        layer.raw_weight.copy_(5 * torch.randn(5, 7))
    assert 0.98 < float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) <= 1 + 1e-6


def test_start_is_the_identity_with_zero_bias():
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(OSSNConv2d(4, 4, 3, padding=1)(x), x)
