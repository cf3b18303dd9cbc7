"""One convolution of any kind and a dense layer."""

import pytest
import torch
from torch import nn

from onelip import lipschitz_bound, models


def build(size=(3, 12, 9), **options):
    options = {"layer": "plain", "activation": "relu", "n_classes": 10} | options
    return models.build("simple-conv", input_shape=size, **options)


def test_the_published_network():
    model = build((1, 28, 28))
    assert list(dict(model.named_children())) == ["conv", "bn", "act", "flatten", "fc"]
    assert sum(p.numel() for p in model.parameters()) == 64 * 9 + 2 * 64 + 64 * 28 * 28 * 10 + 10
    assert "bn" not in dict(build(batch_norm=False).named_children())


@pytest.mark.parametrize("padding_mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("options", [{}, {"kernel_size": 5, "stride": 2, "padding": 2}, {"dilation": 3, "padding": 0}])
def test_every_option_reaches_the_convolution(padding_mode, options):
    model = build(padding_mode=padding_mode, width=4, **options)
    for name, value in options.items():
        assert getattr(model.conv, name) == (value, value)
    assert model.conv.padding_mode == padding_mode
    assert model.conv.bias is None
    assert model(torch.rand(2, 3, 12, 9)).shape == (2, 10)
    assert lipschitz_bound(model.eval(), (3, 12, 9)).proved


def test_other_methods_make_the_convolution_if_they_can():
    model = build((3, 12, 8), layer="aol", width=4, stride=2, padding_mode="circular", batch_norm=False).eval()
    assert type(model.conv).__name__ == "AOLConv2d"
    assert lipschitz_bound(model, (3, 12, 8)).value <= 1 + 1e-5
    with pytest.raises(ValueError, match="reflect"):
        build(layer="aol", padding_mode="reflect")
    square = build(layer="cpl", width=4, batch_norm=False)
    assert [type(m).__name__ for m in square.conv] == ["ChannelPad", "CPLConv2d"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernel_size": 0}, "kernel_size=0 for model 'simple-conv'"),
        ({"padding": -1}, "padding=-1 for model 'simple-conv' must be an integer >= 0"),
        ({"kernel_size": 15}, "does not fit model 'simple-conv' with kernel_size=15"),
        ({"batch_norm": 1}, "batch_norm=1"),
        ({"layer": "soc", "stride": 2}, "layer='soc' has no convolution of stride 2"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(**options)


def test_convolutions_are_torchs():
    assert type(build().conv) is nn.Conv2d
