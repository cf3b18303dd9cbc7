"""Shifts of channels: each group goes its way, around the borders, exactly."""

import pytest
import torch
from tests.layers.dense import dense_matrix

from onelip.layers import ChannelShift2d


def test_every_group_goes_its_way():
    x = torch.randn(2, 10, 3, 4)
    y = ChannelShift2d(10, 0.2)(x)
    left, up, right, down, rest = x.split(2, 1)
    assert torch.equal(y[:, :2, :, :-1], left[..., 1:])
    assert torch.equal(y[:, :2, :, -1], left[..., 0])
    assert torch.equal(y[:, 2:4, :-1], up[:, :, 1:])
    assert torch.equal(y[:, 4:6, :, 1:], right[..., :-1])
    assert torch.equal(y[:, 6:8, 1:], down[:, :, :-1])
    assert torch.equal(y[:, 8:], rest)


@pytest.mark.parametrize("image", [(1, 1), (1, 4), (2, 3)])
@pytest.mark.parametrize(("channels", "ratio"), [(1, 0.25), (4, 0.25), (5, 0.125), (16, 0.0625)])
def test_a_permutation_that_the_plain_form_repeats(channels, ratio, image):
    layer = ChannelShift2d(channels, ratio)
    matrix = dense_matrix(layer, (channels, *image))
    assert torch.equal(matrix @ matrix.T, torch.eye(len(matrix), dtype=torch.float64))
    x = torch.randn(2, channels, *image)
    assert torch.equal(layer.to_plain()(x), layer(x))
    assert torch.equal(layer(x[0]), layer(x)[0])
    assert layer.lipschitz_bound().value == 1.0


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1, "1/8"])
def test_refused_ratios(ratio):
    with pytest.raises(ValueError, match=f"shift_ratio={ratio!r} in ChannelShift2d must be a number above 0"):
        ChannelShift2d(4, ratio)


def test_refused_channels():
    with pytest.raises(ValueError, match=r"input of shape \(1, 3, 2, 2\) in ChannelShift2d must have channels=4"):
        ChannelShift2d(4)(torch.zeros(1, 3, 2, 2))
    assert repr(ChannelShift2d(4)) == "ChannelShift2d(4, shift_ratio=0.125)"
