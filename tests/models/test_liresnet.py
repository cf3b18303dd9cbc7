"""LiResNet: the sizes of the released code, shapes, proved constants, certificates, what its parts are."""

import pytest
import torch
from tests.models.networks import assert_certified, assert_round_trip, count, trained
from torch import nn

from onelip import layers, models

SHAPE = (3, 8, 8)
SMALL = {"width": 4, "depth": 2, "dense_width": 6, "dense_depth": 2}


# Counts of the authors' program (github.com/hukkai/liresnet), to the last number; published as 83, 133 and 98 millions.
@pytest.mark.parametrize(
    ("shape", "n_classes", "options", "n_parameters"),
    [
        ((3, 32, 32), 10, {}, 82_944_010),
        ((3, 64, 64), 200, {}, 133_664_968),
        ((3, 224, 224), 1000, {"width": 588}, 98_138_532),
        ((3, 32, 32), 10, {"dense_depth": 0}, 49_356_810),
    ],
)
def test_released_sizes(shape, n_classes, options, n_parameters):
    assert count("liresnet", shape, n_classes, **options) == n_parameters


@pytest.mark.parametrize(("side", "n_classes"), [(32, 10), (32, 100), (64, 200), (224, 7)])
@pytest.mark.parametrize("neck", ["patch", "l2"])
def test_shapes(side, n_classes, neck):
    model = models.build("liresnet", input_shape=(3, side, side), n_classes=n_classes, neck=neck, **SMALL)
    assert model(torch.rand(2, 3, side, side)).shape == (2, n_classes)
    assert model[0].kernel_size == ((14, 14) if side == 224 else (5, 5))


@pytest.mark.parametrize("options", [{}, {"layer": "aoc", "neck": "l2"}], ids=str)
def test_constants_certificates_and_state(options, tmp_path):
    model = trained("liresnet", SHAPE, **SMALL, **options)
    assert_certified(model, SHAPE, tmp_path, looseness=4.0)
    assert_round_trip(model, "liresnet", SHAPE, **SMALL, **options)


def test_parts_are_those_of_the_paper():
    model = models.build("liresnet", input_shape=SHAPE, n_classes=3, **SMALL)
    assert isinstance(model.stem, layers.RegularizedConv2d)
    blocks = [m for m in model.modules() if isinstance(m, layers.LiResNetConv2d)]
    assert [(b.depth, b.padding_mode, b.bias) for b in blocks] == [(2, "zeros", None)] * 2
    assert [m.depth for m in model.modules() if isinstance(m, layers.CholeskyLinear)] == [None, None, 2, 2]
    assert isinstance(model.head, layers.UnitNormLinear)
    mild = models.build("liresnet", input_shape=SHAPE, n_classes=3, layer_options={"depth": 7}, **SMALL)
    assert mild.block1.conv.depth == 7


def test_the_mean_of_channels_is_subtracted():
    model = models.build("liresnet", input_shape=SHAPE, n_classes=3, **SMALL)
    x = torch.rand(4, 4, 4, 4)
    centred = model.block1[:2](x)
    torch.testing.assert_close(centred.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-6)


def test_an_ordinary_network_has_ordinary_layers():
    model = models.build("liresnet", input_shape=SHAPE, n_classes=3, layer="plain", **SMALL)
    assert isinstance(model.block1.conv, nn.Conv2d)
    assert isinstance(model.dense, nn.Linear)


@pytest.mark.parametrize("depth", [0, "2"])
def test_mistakes_are_one_sentence(depth):
    with pytest.raises(ValueError, match=f"depth={depth!r} for model 'liresnet' must be an integer >= 1"):
        models.build("liresnet", input_shape=SHAPE, n_classes=3, depth=depth)
