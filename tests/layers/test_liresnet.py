"""LiResNet: the block of the paper, divided by its norm."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import dense_matrix, singular_values

from onelip.layers import LiResNetConv2d, LiResNetLinear
from onelip.layers.near_identity import identity_kernel


@pytest.mark.parametrize("case", sampled_cases(20, square=True, seed=8), ids=case_name)
def test_norm_over_shapes(case):
    layer = randomised(LiResNetConv2d, case)
    norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
    assert norm <= 1 + 1e-10
    assert norm <= bound.value <= 1.02
    assert bound.proved


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_block_of_the_paper_over_its_norm(groups, mode):
    layer = LiResNetConv2d(
        4, 4, 3, padding=1, groups=groups, bias=False, padding_mode=mode, depth=3, dtype=torch.float64
    )
    with torch.no_grad():
        for raw in layer.raw:
            raw.copy_(torch.randn_like(raw))
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    padded = F.pad(x, (1, 1, 1, 1), mode="circular") if mode == "circular" else F.pad(x, (1, 1, 1, 1))
    branch = F.conv2d(padded, layer.raw_weight * layer.gamma[:, None, None, None], groups=groups)
    block = (x + branch / 3**0.5).detach()
    # Each group is divided by its own norm.
    for part, found in zip(block.chunk(groups, 1), layer(x).detach().chunk(groups, 1), strict=True):
        ratio = part / found
        torch.testing.assert_close(ratio, ratio[0, 0, 0, 0].expand_as(ratio))
    if mode == "circular":
        assert 0.9 < float(singular_values(layer, (4, 8, 8))[0]) <= 1 + 1e-12


def test_starts_as_published():
    layer = LiResNetConv2d(16, 16, 3, padding=1)
    assert torch.equal(layer.gamma, torch.ones(16))
    assert float(layer.raw_weight.detach().std()) == pytest.approx(1 / (16 * 9), rel=0.1)
    assert layer.bias is not None
    assert not layer.bias.any()
    x = torch.randn(2, 16, 6, 6)
    assert float((layer(x) - x).detach().norm() / x.norm()) < 0.35


def test_zero_branch_is_the_identity():
    for mode in ("zeros", "circular"):
        for size in (1, 2, 3, (1, 5), 4):
            layer = LiResNetConv2d(3, 3, size, padding="same", padding_mode=mode)
            with torch.no_grad():
                layer.raw_weight.zero_()
            x = torch.randn(2, 3, 6, 6)
            assert torch.equal(layer(x), x)


def test_block_that_cancels_the_identity_is_zero():
    layer = LiResNetLinear(4, 4)
    with torch.no_grad():
        layer.raw_weight.copy_(-torch.eye(4))
    assert not layer.weight.any()
    layer.weight.sum().backward()
    assert layer.raw_weight.grad is not None
    assert layer.raw_weight.grad.isfinite().all()


def test_identity_kernel_of_groups():
    kernel = identity_kernel(torch.empty(6, 2, 3, 4), groups=3)
    assert int(kernel.count_nonzero()) == 6
    assert torch.equal(kernel[:, :, 1, 1], torch.eye(2).repeat(3, 1))


def test_dense_block():
    layer = LiResNetLinear(5, 5, depth=4, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn(5, 5))
        layer.gamma.copy_(torch.randn(5))
    block = torch.eye(5, dtype=torch.float64) + layer.gamma[:, None] * layer.raw_weight / 2
    expected = (block / torch.linalg.matrix_norm(block, 2)).detach()
    torch.testing.assert_close(dense_matrix(layer, (5,)), expected, rtol=0.01, atol=0)


def test_assigned_weights_come_back_up_to_a_factor():
    layer, target = LiResNetConv2d(4, 4, 3, depth=5, dtype=torch.float64), torch.randn(4, 4, 3, 3).double()
    layer.weight = target
    ratio = layer.weight.detach() / target
    torch.testing.assert_close(ratio, ratio[0, 0, 0, 0].expand_as(ratio))


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="out_channels=6 in LiResNetConv2d must equal in_channels=4"):
        LiResNetConv2d(4, 6, 3)
    with pytest.raises(ValueError, match="stride=2 in LiResNetConv2d must be 1"):
        LiResNetConv2d(4, 4, 3, 2)
    with pytest.raises(ValueError, match="out_features=6 in LiResNetLinear must equal in_features=4"):
        LiResNetLinear(4, 6)
    with pytest.raises(ValueError, match="depth=0 in LiResNetConv2d"):
        LiResNetConv2d(4, 4, 3, depth=0)
