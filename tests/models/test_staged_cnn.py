"""Staged networks: structure, repeated calls, what does not fit."""

import pytest
import torch
from torch import nn

from onelip import models
from onelip.layers import LayerCentering, UnitNormLinear


def on_meta(name="staged-cnn", side=32, **options):
    with torch.device("meta"):
        return models.build(name, input_shape=(3, side, side), n_classes=10, **({"layer": "plain"} | options))


def shapes(model):
    return [(m.in_channels, m.out_channels, m.stride[0]) for m in model.modules() if isinstance(m, nn.Conv2d)]


def test_the_structure():
    model = on_meta()
    assert shapes(model) == [(3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 128, 1)]
    dense = [(m.in_features, m.out_features) for m in model.modules() if isinstance(m, nn.Linear)]
    assert dense == [(128 * 16 * 16, 256), (256, 256), (256, 10)]
    assert sum(isinstance(m, LayerCentering) for m in model.modules()) == 5
    assert {(m.padding_mode, m.bias) for m in model.modules() if isinstance(m, nn.Conv2d)} == {("circular", None)}


def test_the_long_recipe_of_the_library():
    options = {"widths": [128, 256, 512, 1024], "repeats": [4] * 4, "dense": [1024] * 5, "norm": "none"}
    model = on_meta(**options)
    assert len(shapes(model)) == 19
    expected = 9 * (3 * 128 + 3 * 128**2)
    for width in (256, 512, 1024):
        expected += 9 * (width // 2 * width + 4 * width**2)
    expected += 1024 * 4 * 4 * 1024 + 1024 + 4 * (1024**2 + 1024) + 10250
    assert sum(p.numel() for p in model.parameters()) == expected
    assert options["widths"] == [128, 256, 512, 1024]
    assert model(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_the_large_one_works_on_patches_and_normalises_its_head_alone():
    model = on_meta("large-staged-cnn", 224, layer="aoc")
    assert model.stem.conv[1].weight.shape == (128, 3 * 49, 1, 1)
    assert [type(m) is UnitNormLinear for m in (model.dense1, model.dense5, model.head)] == [False, False, True]
    assert model.dense1.in_features == 1024 * 4 * 4
    plain = on_meta("large-staged-cnn", 224)
    assert plain(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    "options",
    [
        {"widths": [8, 16]},
        {"repeats": [1, 2]},
        {"dense": []},
        {"kernel_size": 5},
        {"norm": "none"},
        {"pool": "l2"},
        {"bias": True},
        {"head": "unit-norm"},
    ],
)
def test_each_option_changes_the_network(options):
    changed = on_meta(**options)
    assert str(changed) != str(on_meta())
    assert changed(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_plain_layers_take_images_that_cannot_be_halved():
    model = models.build(
        "staged-cnn", input_shape=(3, 9, 6), n_classes=2, layer="plain", widths=[2, 4, 4], repeats=[1, 1, 1], dense=[]
    )
    assert model(torch.rand(2, 3, 9, 6)).shape == (2, 2)


@pytest.mark.parametrize(
    ("name", "side", "options", "sentence"),
    [
        ("staged-cnn", 32, {"repeats": [2]}, r"repeats=\[2\] for model 'staged-cnn' must have one entry for each of"),
        ("staged-cnn", 32, {"widths": [], "repeats": []}, "must have one entry"),
        ("staged-cnn", 32, {"widths": [0, 1]}, r"widths=\[0, 1\]"),
        ("staged-cnn", 32, {"kernel_size": 2}, "kernel_size=2"),
        ("staged-cnn", 32, {"norm": 1}, "norm=1"),
        ("staged-cnn", 32, {"bias": 0}, "bias=0"),
        ("staged-cnn", 31, {"layer": "aoc"}, "multiples of 2"),
        ("staged-cnn", 32, {"layer": "soc"}, "layer='soc' has no convolution of stride 2"),
        ("large-staged-cnn", 32, {}, "multiples of 7"),
        ("large-staged-cnn", 70, {"layer": "aoc"}, "multiples of 8"),
        ("large-staged-cnn", 224, {"pool": "sum"}, "pool='sum'"),
        ("large-staged-cnn", 224, {"patch": 0}, "patch=0"),
    ],
)
def test_what_does_not_fit_is_refused(name, side, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(name, side, **options)
