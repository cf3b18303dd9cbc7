"""The networks of "1-Lipschitz Layers Compared": published parameter counts, structure, what does not fit."""

import pytest
import torch
from torch import nn

from onelip import models

# Trainable parameters with a plain convolution, arXiv:2311.16833.
PUBLISHED = {
    "convnet-xs": (32, 1_572_288),
    "convnet-s": (32, 6_283_136),
    "convnet-m": (32, 25_120_512),
    "convnet-l": (32, 100_457_984),
    "tiny-convnet-xs": (64, 1_575_008),
    "tiny-convnet-s": (64, 6_293_952),
    "tiny-convnet-m": (64, 25_163_648),
    "tiny-convnet-l": (64, 100_630_272),
}


def on_meta(name, side, **options):
    with torch.device("meta"):
        return models.build(name, input_shape=(3, side, side), n_classes=10, layer="plain", **options)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(name):
    side, n_parameters = PUBLISHED[name]
    model = on_meta(name, side)
    assert sum(p.numel() for p in model.parameters()) == n_parameters
    assert model(torch.empty(2, 3, side, side, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    ("layer", "linear", "options", "n_parameters"),
    [
        ("aol", "aol", {}, 1_572_288),
        ("cpl", "cpl", {}, 1_572_288),
        ("sll", "sll", {}, 1_575_296),
        ("bcop", "bjorck", {"square": True}, 1_137_088),
    ],
)
def test_parameter_counts_of_methods_are_the_published_ones(layer, linear, options, n_parameters):
    with torch.device("meta"):
        model = models.build(
            "convnet-xs",
            input_shape=(3, 32, 32),
            n_classes=10,
            layer=layer,
            linear=linear,
            layer_options=options,
        )
    assert sum(p.numel() for p in model.parameters()) == n_parameters


def test_kernels_paddings_and_widths_are_those_of_the_paper():
    convs = [m for m in on_meta("convnet-xs", 32).modules() if isinstance(m, nn.Conv2d)]
    widths = [16] + [16 * 2**i for i in range(5) for _ in range(5)]
    assert [(c.in_channels, c.out_channels) for c in convs] == [(w, w) for w in widths]
    assert [c.kernel_size[0] for c in convs] == [1] + [3] * 20 + [1] * 5
    assert {c.padding_mode for c in convs} == {"circular"}


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_smaller_images_fit_with_fewer_blocks(blocks):
    options = {"width": 4, "blocks": blocks, "layer": "plain"}
    model = models.build("convnet-xs", input_shape=(1, 8, 16), n_classes=3, **options)
    assert model(torch.rand(2, 1, 8, 16)).shape == (2, 3)


@pytest.mark.parametrize("side", [(32, 32), (64, 32), (96, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_image_that_can_be_halved_fits(side, channels):
    with torch.device("meta"):
        model = models.build("convnet-xs", input_shape=(channels, *side), n_classes=7, layer="plain")
    assert model(torch.empty(2, channels, *side, device="meta")).shape == (2, 7)


def test_padding_and_halving_lose_nothing():
    model = models.build("convnet-xs", input_shape=(1, 4, 4), n_classes=2, layer="plain", width=2, blocks=2, depth=1)
    x = torch.rand(1, 1, 4, 4)
    padded = model.pad(x)
    assert padded.shape == (1, 2, 4, 4)
    assert padded.norm() == x.norm()
    assert torch.equal(model.block1.down(padded).norm(), x.norm())


@pytest.mark.parametrize("options", [{"width": 32}, {"blocks": 4}, {"depth": 2}, {"kernel_size": 5}])
def test_each_option_changes_the_network(options):
    changed, default = (sum(p.numel() for p in on_meta("convnet-xs", 32, **kw).parameters()) for kw in (options, {}))
    assert changed != default


@pytest.mark.parametrize(
    ("input_shape", "options", "sentence"),
    [
        ((3, 2, 2), {}, r"input_shape=\(3, 2, 2\) is an image too small .*must be at least 32"),
        ((3, 16, 32), {}, "too small"),
        ((3, 48, 64), {}, "must be multiples of 32"),
        ((3, 32, 32), {"width": 15}, "width=15 for model 'convnet-xs' must be even"),
        ((20, 32, 32), {}, "at least the 20 channels"),
        ((3, 32, 32), {"kernel_size": 4}, "kernel_size=4 for model 'convnet-xs' must be odd"),
        ((3, 32, 32), {"depth": 0}, "depth=0"),
        ((3, 32, 32), {"padding_mode": "reflect"}, "padding_mode='reflect'"),
        ((3, 32, 32), {"n_classes": 513}, "n_classes=513 exceeds the 512 outputs"),
    ],
)
def test_what_does_not_fit_is_refused(input_shape, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.build("convnet-xs", **({"input_shape": input_shape, "n_classes": 10, "layer": "plain"} | options))


def test_padding_with_zeros_reaches_every_convolution():
    options = {"input_shape": (1, 4, 4), "n_classes": 2, "layer": "cpl", "width": 2, "blocks": 2, "depth": 1}
    model = models.build("convnet-xs", **options, padding_mode="zeros")
    assert [m.padding_mode for m in model.modules() if hasattr(m, "padding_mode")][1:] == ["zeros", "zeros"]
    assert models.build("convnet-xs", **options).block1.conv1.padding_mode == "circular"
