"""BRONet: the sizes of the released code, shapes, proved constants, certificates, its reflectors."""

import pytest
import torch
from tests.models.networks import assert_certified, assert_round_trip, count, trained

from onelip import layers, models

SHAPE = (3, 8, 8)
SMALL = {"width": 4, "depth": 1, "dense_width": 6, "dense_depth": 1}
TINY = {"depth": 6, "rank_ratio": 1 / 8, "dense_depth": 4, "linear": "bro"}
IMAGENET = {"width": 588, "depth": 8, "regularized": 6, "growing": True, "neck": "l2", "neck_size": 8}


# Counts of the authors' program (github.com/ntuaislab/BRONet), to the last number; published as 68, 75 and 86 millions.
@pytest.mark.parametrize(
    ("shape", "n_classes", "options", "n_parameters"),
    [
        ((3, 32, 32), 10, {}, 68_788_234),
        ((3, 64, 64), 200, TINY, 75_643_080),
        ((3, 224, 224), 1000, IMAGENET, 86_385_588),
    ],
)
def test_released_sizes(shape, n_classes, options, n_parameters):
    assert count("bronet", shape, n_classes, **options) == n_parameters


@pytest.mark.parametrize(
    ("side", "n_classes", "options"),
    [(32, 10, {}), (32, 100, {"regularized": 1}), (64, 200, TINY | {"depth": 1}), (224, 7, IMAGENET | {"depth": 4})],
)
def test_shapes(side, n_classes, options):
    sizes = options | {k: v for k, v in SMALL.items() if k != "depth" or "depth" not in options}
    model = models.build("bronet", input_shape=(3, side, side), n_classes=n_classes, **sizes).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 3, side, side)).shape == (2, n_classes)


@pytest.mark.parametrize(
    "options",
    [{}, {"linear": "bro", "rank_ratio": 0.25}, {"regularized": 1, "growing": True, "neck": "l2", "neck_size": 3}],
    ids=str,
)
def test_constants_certificates_and_state(options, tmp_path):
    model = trained("bronet", SHAPE, **SMALL, **options)
    assert_certified(model, SHAPE, tmp_path, looseness=4.0)
    assert_round_trip(model, "bronet", SHAPE, **SMALL, **options)


def test_reflectors_are_as_released():
    sizes = SMALL | {"depth": 3, "width": 8}
    model = models.build("bronet", input_shape=SHAPE, n_classes=3, rank_ratio=0.25, **sizes)
    convolutions = [m for m in model.modules() if isinstance(m, layers.BROConv2d)]
    assert [(m.depth, m.rank_ratio, m.bias, m.padding_mode) for m in convolutions] == [(3, 0.25, None, "zeros")] * 3
    usual = models.build("bronet", input_shape=SHAPE, n_classes=3, **sizes)
    assert usual.block1.conv.rank_ratio == 0.5


def test_growing_blocks_keep_every_length():
    model = models.build("bronet", input_shape=SHAPE, n_classes=3, growing=True, neck_size=2, **SMALL).eval()
    x = torch.randn(2, 4, 4, 4)
    with torch.no_grad():
        y = model.block1[:2](x)
    assert y.shape == (2, 4, 6, 6)
    torch.testing.assert_close(y.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"depth": 0}, "depth=0 for model 'bronet'"),
        ({"regularized": -1}, "regularized=-1 for model 'bronet' must be an integer >= 1"),
        ({"growing": 1}, "growing=1 for model 'bronet' must be True or False"),
        ({"rank_ratio": 0.5, "layer": "aoc"}, "rank_ratio=0.5 for model 'bronet' has no effect with layer='aoc'"),
        ({"rank_ratio": 1.5}, "rank_ratio=1.5 in BROConv2d"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.build("bronet", input_shape=SHAPE, n_classes=3, **(SMALL | options))
