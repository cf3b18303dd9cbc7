"""Blocks with skip connections, against their formula written with torch's functions."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onelip.layers import Scale
from onelip.models import choose_method
from onelip.models.residual_blocks import BasicBlock, Bottleneck, check_image, check_rescale, norm

PLAIN = choose_method("plain", None, "relu")


def convolve(x, block, name, stride, padding):
    y = F.conv2d(x, block.state_dict()[f"{name}.weight"], None, stride, padding)
    bn = block.get_submodule(name.replace("conv", "bn") if "conv" in name else "shortcut.1")
    return (y - bn.running_mean[:, None, None]) / (bn.running_var[:, None, None] + bn.eps).sqrt()


def randomise_statistics(block):
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)


@pytest.mark.parametrize(
    ("stride", "n_in", "rescale", "factor"),
    [(1, 6, "none", 1), (2, 6, "none", 1), (1, 4, "projections", 0.5), (1, 6, "projections", 1), (1, 6, "all", 0.5)],
)
@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_the_formula(kind, stride, n_in, rescale, factor):
    torch.manual_seed(0)
    n_in *= kind.expansion
    block = kind(PLAIN, n_in, 6, stride=stride, batch_norm=True, rescale=rescale).eval()
    randomise_statistics(block)
    x = torch.randn(2, n_in, 7, 7)
    if kind is BasicBlock:
        y = F.relu(convolve(x, block, "conv1", stride, 1))
        y = convolve(y, block, "conv2", 1, 1)
    else:
        y = F.relu(convolve(x, block, "conv1", 1, 0))
        y = F.relu(convolve(y, block, "conv2", stride, 1))
        y = convolve(y, block, "conv3", 1, 0)
    projected = stride > 1 or n_in != 6 * kind.expansion
    skip = convolve(x, block, "shortcut.0", stride, 0) if projected else x
    torch.testing.assert_close(block(x), factor * F.relu(y + skip), atol=1e-5, rtol=1e-5)


def test_without_batch_normalisation_no_module_of_it_is_left():
    block = BasicBlock(PLAIN, 4, 6, stride=2, batch_norm=False, rescale="none")
    assert list(block.state_dict()) == ["conv1.weight", "conv2.weight", "shortcut.0.weight"]
    assert type(norm(3, False)) is nn.Identity


def test_projections_of_other_methods_are_as_large_as_their_stride():
    block = BasicBlock(choose_method("aoc", None, "maxmin"), 4, 6, stride=2, batch_norm=False, rescale="all")
    assert block.shortcut[0].weight.shape == (6, 4, 2, 2)
    assert isinstance(block.scale, Scale)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="rescale='halves' for model 'm' must be one of 'none', 'projections', 'all'"):
        check_rescale("m", "halves", True)
    with pytest.raises(ValueError, match="batch_norm=1 for model 'm' must be True or False"):
        check_rescale("m", "none", 1)
    check_image("m", (3, 7, 7), PLAIN, 2)
    with pytest.raises(ValueError, match="multiples of 2"):
        check_image("m", (3, 8, 7), choose_method("aoc", None, "maxmin"), 2)
