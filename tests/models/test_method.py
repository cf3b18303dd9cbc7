"""Which layers a method name stands for."""

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.layers import ChannelKeep, ChannelPad
from onelip.models import Method, choose_method, method


def test_plain_means_torch():
    plain = choose_method("plain", None, "maxmin")
    conv = plain.conv2d(4, 6, 3)
    assert type(conv) is nn.Conv2d
    assert (conv.padding, conv.padding_mode) == ((1, 1), "circular")
    assert type(plain.dense(4, 6)) is nn.Linear


def test_the_dense_partner_has_the_same_name_or_is_orthogonal():
    assert choose_method("aol", None, "maxmin").linear == "aol"
    partner = choose_method("rko", None, "maxmin").linear
    assert partner in layers.available("linear")
    assert partner == "rko" or layers.record("linear", partner).orthogonal
    assert choose_method("aoc", "aol", "maxmin").linear == "aol"


def test_a_dense_method_alone_will_do_for_dense_networks():
    assert choose_method("bjorck", None, "maxmin").linear == "bjorck"


@pytest.mark.parametrize("name", [r.name for r in layers.records("conv2d")])
@pytest.mark.parametrize(("n_in", "n_out"), [(4, 4), (2, 6), (6, 2)])
def test_every_convolution_keeps_the_image_size_in_a_declared_padding(name, n_in, n_out):
    conv = choose_method(name, None, "maxmin").conv2d(n_in, n_out, 3).eval()
    assert conv(torch.rand(2, n_in, 4, 6)).shape == (2, n_out, 4, 6)
    modes = {m.padding_mode for m in conv.modules() if hasattr(m, "padding_mode")}
    assert modes <= set(layers.record("conv2d", name).paddings)


@pytest.mark.parametrize("name", [r.name for r in layers.records("linear")])
@pytest.mark.parametrize(("n_in", "n_out"), [(4, 4), (2, 6), (6, 2)])
def test_every_dense_layer_fits(name, n_in, n_out):
    dense = choose_method("plain", name, "maxmin").dense(n_in, n_out).eval()
    assert dense(torch.rand(2, n_in)).shape == (2, n_out)


@pytest.mark.parametrize(("n_in", "n_out", "types"), [(2, 6, (ChannelPad,)), (6, 2, (ChannelKeep,)), (4, 4, ())])
def test_methods_that_keep_the_width_are_wrapped(n_in, n_out, types, monkeypatch):
    original = layers.record

    def square(kind, name):
        found = original(kind, name)
        return type(found)(**{**vars(found), "square": True})

    monkeypatch.setattr(method.layers, "record", square)
    chosen = Method("aoc", "bjorck", "maxmin")
    for built, x in (
        (chosen.conv2d(n_in, n_out, 3), torch.rand(2, n_in, 4, 4)),
        (chosen.dense(n_in, n_out), torch.rand(2, n_in)),
    ):
        assert built.eval()(x).shape[:2] == (2, n_out)
        found = tuple(type(m) for m in built.children() if isinstance(m, ChannelPad | ChannelKeep))
        assert found == types


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("aocc", None, "maxmin"), "layer 'aocc' is unknown; did you mean 'aoc'"),
        (("aoc", "bjork", "maxmin"), "linear layer 'bjork' is unknown"),
        (("aoc", None, "maxmn"), "activation 'maxmn' is unknown"),
    ],
)
def test_unknown_names_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        choose_method(*arguments)


def test_a_dense_method_makes_no_convolution():
    with pytest.raises(ValueError, match="layer='bjorck' has no convolution, which this model needs; use one of"):
        choose_method("bjorck", None, "maxmin").conv2d(3, 3, 3)


def test_options_reach_the_convolutions_and_must_be_the_methods_own():
    chosen = choose_method("aoc", None, "maxmin", {"rank": "free"})
    assert chosen.conv2d(4, 4, 3).rank == "free"
    with pytest.raises(
        ValueError, match="ranks='free' is not an option of layer 'aoc'; its options: orthogonaliser, rank"
    ):
        choose_method("aoc", None, "maxmin", {"ranks": "free"})
    with pytest.raises(ValueError, match="padding=3 is not an option of layer 'plain'; its options: none"):
        choose_method("plain", None, "maxmin", {"padding": 3})


def strided(name, kernel_size, stride=2, n_in=4):
    return choose_method(name, None, "maxmin").conv2d(n_in, 6, kernel_size, stride=stride, bias=False)


@pytest.mark.parametrize("name", [r.name for r in layers.records("conv2d") if r.strides] + ["plain"])
@pytest.mark.parametrize("kernel_size", [2, 3, 4])
def test_strides_divide_the_image_size(name, kernel_size):
    conv = strided(name, kernel_size).eval()
    assert conv(torch.rand(2, 4, 8, 6)).shape == (2, 6, 4, 3)
    assert getattr(conv, "bias", None) is None


def test_strides_that_a_method_cannot_do_are_refused():
    with pytest.raises(ValueError, match="layer='cpl' has no convolution of stride 2, which this model needs; use"):
        strided("cpl", 3)
    with pytest.raises(ValueError, match="kernel_size=4 with stride=3 must be odd, or even like the stride"):
        strided("plain", 4, 3)


def test_a_padding_mode_is_followed_where_the_method_allows_it():
    for name in ("plain", "aoc"):
        conv = choose_method(name, None, "maxmin").conv2d(4, 4, 3, padding_mode="zeros")
        assert conv.padding_mode == "zeros"


@pytest.mark.parametrize("name", ["aoc", "bcop", "plain"])
def test_even_kernels_keep_the_image_size(name):
    assert choose_method(name, None, "maxmin").conv2d(4, 4, 2)(torch.rand(2, 4, 4, 6)).shape == (2, 4, 4, 6)


def test_an_activation_that_drops_channels_is_padded():
    act = Method("aoc", "bjorck", "maxout").act(6)
    assert [type(m).__name__ for m in act] == ["Maxout", "ChannelPad"]
    assert act(torch.rand(2, 6, 3)).shape == (2, 6, 3)
    assert type(Method("aoc", "bjorck", "maxmin").act(6)).__name__ == "MaxMin"


@pytest.mark.parametrize("layer", ["aoc", "bcop", "plain"])
def test_patches_are_convolved_as_by_a_kernel_as_large_as_its_stride(layer):
    torch.manual_seed(0)
    conv = choose_method(layer, None, "maxmin").patch_conv2d(4, 6, (2, 3), groups=2).eval()
    x = torch.randn(2, 4, 4, 6)
    kernel = conv[1].weight.detach().reshape(6, 2, 2, 3)
    expected = nn.functional.conv2d(x, kernel, conv[1].bias, stride=(2, 3), groups=2)
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-5)
    assert choose_method(layer, None, "maxmin").patch_conv2d(4, 6, (2, 3), bias=False)[1].bias is None


@pytest.mark.parametrize("name", [*(r.name for r in layers.records("linear")), "plain"])
def test_biases_can_be_left_out(name):
    dense = choose_method("plain", name, "maxmin").dense(4, 4, bias=False)
    assert not any("bias" in key for key, _ in dense.named_parameters())


def test_groups_reach_the_convolution():
    assert choose_method("aoc", None, "maxmin").conv2d(4, 8, 3, groups=2).groups == 2


def test_suggested_options_reach_methods_that_have_them():
    suggested = {"depth": 3, "rank_ratio": 0.25}
    chosen = choose_method("bro", "cholesky", "maxmin")
    conv = chosen.conv2d(8, 8, 3, suggested=suggested)
    assert (conv.depth, conv.rank_ratio) == (3, 0.25)
    assert chosen.dense(4, 4, suggested=suggested).depth == 3
    assert chosen.dense(4, 4, bias=False).bias is None
    own = choose_method("bro", "cholesky", "maxmin", {"rank_ratio": 0.75}).conv2d(8, 8, 3, suggested=suggested)
    assert (own.depth, own.rank_ratio) == (3, 0.75)
    plain = choose_method("plain", None, "maxmin")
    assert isinstance(plain.conv2d(8, 8, 3, suggested=suggested), nn.Conv2d)
    assert isinstance(plain.dense(4, 4, suggested=suggested), nn.Linear)
    assert chosen.takes("rank_ratio")
    assert not choose_method("aoc", "cholesky", "maxmin").takes("rank_ratio")
    assert choose_method("aoc", "bro", "maxmin").takes("rank_ratio")
