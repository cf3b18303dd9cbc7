"""One layer in place of another: the map that it is near to, and what it says otherwise."""

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.swap.affine import read_affine
from onelip.swap.replacement import replacement, takers


def replace(module, name, kind="conv2d", padding="circular"):
    return replacement(read_affine(module, kind), layers.record(kind, name), padding)


@pytest.mark.parametrize("name", layers.available("conv2d"))
@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(4, 4, 1), (3, 6, 1), (6, 3, 1), (2, 6, 2), (4, 4, 2)])
def test_every_method_returns_the_shape_of_the_old_layer(name, n_in, n_out, stride):
    module = nn.Conv2d(n_in, n_out, 3, stride, 1)
    if name not in takers(read_affine(module, "conv2d"), "circular"):
        assert (n_in, n_out, stride) != (4, 4, 1)
        with pytest.raises(ValueError, match=layers.record("conv2d", name).factory.__name__):
            replace(module, name)
        return
    new = replace(module, name)
    x = torch.randn(2, n_in, 8, 6)
    assert new.module(x).shape == module(x).shape
    assert not new.module.training


def test_a_strided_layer_after_down_sampling_is_near_the_old_one():
    # A kernel as large as the stride, so that its blocks are a 1x1 kernel, orthogonal if the old one was.
    module = nn.Conv2d(2, 8, 2, 2)
    nn.init.orthogonal_(module.weight)
    new = replace(module, "bcop")
    x = torch.randn(2, 2, 6, 8)
    assert torch.allclose(new.module(x), module(x), atol=1e-4)
    assert new.weight_change < 1e-4
    assert isinstance(new.module[0], layers.InvertibleDownsampling2d)
    assert "InvertibleDownsampling2d" in new.remarks[-1]


def test_a_narrow_kernel_that_a_method_refuses_with_its_stride_comes_after_down_sampling():
    new = replace(nn.Conv2d(4, 8, 1, 2), "aoc")
    assert isinstance(new.module[0], layers.InvertibleDownsampling2d)
    assert new.layer.orthogonal


def test_methods_that_keep_the_width_are_put_between_channels():
    new = replace(nn.Conv2d(2, 5, 3, padding=1), "cpl")
    assert [type(m) for m in new.module] == [layers.ChannelPad, layers.CPLConv2d]
    assert torch.count_nonzero(new.layer.raw_weight[:, 2:]) == 0
    with pytest.raises(ValueError, match="groups=2 with in_channels=2 and out_channels=4 has no place in CPLConv2d"):
        replace(nn.Conv2d(2, 4, 3, padding=1, groups=2), "cpl")


def test_residual_layers_are_said_to_be_another_map():
    module = nn.Conv2d(4, 4, 3, padding=1)
    new = replace(module, "cpl")
    assert new.weight_change is None
    assert any("another map" in remark for remark in new.remarks)
    assert torch.equal(new.layer.raw_weight, module.weight)
    assert torch.equal(new.layer.bias, module.bias)


def test_layers_that_take_no_weight_are_said_to_start_fresh():
    new = replace(nn.Conv2d(4, 4, 3, padding=1), "cayley")
    if new.weight_change is None:
        assert any("starts fresh" in remark or "another map" in remark for remark in new.remarks)


def test_a_zero_weight_is_said_to_be_zero():
    module = nn.Linear(3, 3)
    nn.init.zeros_(module.weight)
    assert "the weight was zero" in replace(module, "cholesky", "linear").remarks


def test_scaling_keeps_the_direction():
    new = replace(nn.Conv2d(3, 3, 3, padding=1), "rko")
    assert 0 < new.direction_kept < 1
    orthogonal = nn.Linear(4, 4)
    nn.init.orthogonal_(orthogonal.weight, gain=3)
    scaled = replace(orthogonal, "cholesky", "linear")
    assert scaled.direction_kept == pytest.approx(1, abs=1e-6)
    assert scaled.weight_change == pytest.approx(2 / 3, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"kernel_size": 4, "stride": 2, "padding": 1}, "circular"),
        ({"kernel_size": 2, "stride": 2}, "circular"),
        ({"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}, "zeros"),
        ({"kernel_size": 4, "stride": 2}, "zeros"),
    ],
)
def test_transposed_layers_are_circular_where_that_keeps_the_size(options, mode):
    module = nn.ConvTranspose2d(8, 4, **options)
    new = replace(module, "aoc", "conv_transpose2d")
    x = torch.randn(1, 8, 3, 5)
    assert new.layer.padding_mode == mode
    assert new.module(x).shape == module(x).shape
    assert new.weight_change is not None


def test_those_that_take_a_layer_are_found(refusing):
    names = takers(read_affine(nn.Conv2d(6, 6, 3, padding=1, groups=6), "conv2d"), "circular")
    assert "aol" in names
    assert refusing not in names
