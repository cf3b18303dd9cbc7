"""From an image of many channels to the logits."""

import pytest
import torch
from torch import nn

from onelip.models import choose_method
from onelip.models.readout import check_pool, pooling, readout

AOC = choose_method("aoc", None, "maxmin")
IMAGE = (4, 2, 3)


def test_the_pools_are_what_their_names_say():
    x = torch.randn(5, *IMAGE)
    expected = {"l2": x.norm(dim=(2, 3)), "average": x.sum((2, 3)) / 6**0.5, "max": x.amax((2, 3))}
    for name, value in expected.items():
        check_pool("m", name)
        torch.testing.assert_close(pooling(AOC, IMAGE, name)(x), value[:, :, None, None])


@pytest.mark.parametrize(("image", "groups"), [(IMAGE, 2), ((3, 2, 3), 1)])
def test_the_pooling_convolution_is_orthogonal_in_groups_of_two_channels(image, groups):
    channels, height, width = image
    units = torch.eye(channels * height * width).unflatten(1, image)
    matrix = pooling(AOC, image, "conv")(units).flatten(1).T
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(channels), atol=1e-5, rtol=0)
    size = channels // groups
    cross = matrix.unflatten(1, (channels, -1))[:size, size:]
    assert not bool(cross.any())


@pytest.mark.parametrize("pool", ["none", "l2", "average", "max", "conv"])
def test_the_parts_and_their_sizes(pool):
    parts = readout(AOC, IMAGE, 3, pool=pool, dense=(8, 6), head="unit-norm", act=True)
    assert [*parts] == [*["pool"] * (pool != "none"), "flatten", "act", *DENSE, "head"]
    assert nn.Sequential(parts)(torch.rand(2, *IMAGE)).shape == (2, 3)
    assert type(parts["head"]).__name__ == "UnitNormLinear"


DENSE = ("dense1", "dense_act1", "dense2", "dense_act2")


def test_biases_can_be_left_out():
    parts = readout(AOC, IMAGE, 3, dense=(8,), bias=False)
    assert parts["dense1"].bias is None
    assert parts["head"].bias is None
    assert readout(AOC, IMAGE, 3)["head"].bias is not None


def test_other_pools_are_refused():
    check_pool("m", "average", "batch-centering")
    with pytest.raises(
        ValueError, match="pool='average' for model 'm' behind norm='layer-centering' makes every image"
    ):
        check_pool("m", "average", "layer-centering")
    with pytest.raises(ValueError, match="pool='mean' for model 'm' must be one of 'none', 'l2', 'average', 'max', 'c"):
        check_pool("m", "mean")
