"""The 1-Lipschitz VGG."""

import pytest
import torch
from torch import nn

from onelip import models

IMAGE = (3, 224, 224)


def on_meta(shape=IMAGE, **options):
    with torch.device("meta"):
        return models.build("lip-vgg", input_shape=shape, n_classes=1000, **({"layer": "plain"} | options))


def test_the_layout_is_that_of_vgg_16_with_strides():
    model = on_meta()
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    widths = [64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512]
    assert [c.out_channels for c in convs] == widths
    assert sum(c.stride == (2, 2) for c in convs) == 5
    kernels = sum(9 * a * b for a, b in zip([3, *widths], widths, strict=False))
    dense = 512 * 49 * 4096 + 4096**2 + 4096 * 1000
    # Twelve centred layers learn a number for each channel.
    assert sum(p.numel() for p in model.parameters()) == kernels + dense + sum(widths[:-1])
    assert model(torch.empty(2, *IMAGE, device="meta")).shape == (2, 1000)


@pytest.mark.parametrize("options", [{"width": 8}, {"dense": [64]}, {"norm": "none"}, {"head": "aoc"}])
def test_each_option_changes_the_network(options):
    assert str(on_meta(**options)) != str(on_meta())


def test_plain_layers_take_other_images():
    options = {"layer": "plain", "width": 1, "dense": [], "activation": "relu"}
    model = models.build("lip-vgg", input_shape=(1, 33, 40), n_classes=2, **options)
    assert model(torch.rand(2, 1, 33, 40)).shape == (2, 2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": (3, 48, 64), "layer": "aoc"}, "multiples of 32"),
        ({"dense": [0]}, r"dense=\[0\]"),
        ({"norm": "x"}, "norm='x'"),
        ({"width": 0}, "width=0"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(**options)
