"""LipNeXt: published sizes, shapes, proved constants, certificates, its parts."""

import pytest
import torch
from tests.models.networks import assert_certified, assert_round_trip, count, trained

from onelip import layers, models

SHAPE = (3, 4, 4)
SMALL = {"width": 12, "depth": 3, "patch": 2}
CIFAR = (3, 32, 32)


@pytest.mark.parametrize(("width", "published"), [(1024, 64), (2048, 256)])
def test_published_sizes(width, published):
    # What is published are the two matrices of 32 blocks, in units of 2^20.
    matrices = 32 * 2 * width**2
    assert matrices == published * 2**20
    others = 32 * width + width * 10 + 10
    assert count("lipnext", CIFAR, 10, width=width, positions=False) == matrices + others
    assert count("lipnext", CIFAR, 10, width=width) == matrices + others + 32 * width * 16 * 16


@pytest.mark.parametrize(("side", "n_classes"), [(32, 10), (32, 100), (64, 200), (224, 7)])
def test_shapes(side, n_classes):
    width = {32: 12, 64: 48, 224: 588}[side]
    model = models.build("lipnext", input_shape=(3, side, side), n_classes=n_classes, width=width, depth=1).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 3, side, side)).shape == (2, n_classes)
    assert model.block1.mix.positions.code.shape[1:] == (16, 16)


@pytest.mark.parametrize("options", [{}, {"layer": "cholesky", "positions": False, "shift_ratio": 0.0625}], ids=str)
def test_constants_certificates_and_state(options, tmp_path):
    model = trained("lipnext", SHAPE, **SMALL, **options)
    assert_certified(model, SHAPE, tmp_path, looseness=2.0)
    assert_round_trip(model, "lipnext", SHAPE, **SMALL, **options)


def test_everything_before_the_pool_keeps_every_length():
    model = models.build("lipnext", input_shape=SHAPE, n_classes=3, positions=False, **SMALL)
    assert isinstance(model.block1.act, layers.BetaAbs)
    for block in (model.block1, model.block2, model.block3):
        torch.nn.init.zeros_(block.mix.bias)
    x = torch.randn(5, *SHAPE)
    features = model[: list(dict(model.named_children())).index("head")](x)
    torch.testing.assert_close(features.norm(dim=1), x.flatten(1).norm(dim=1))
    rotation, mixing = model.block1.mix.rotation, model.block1.mix.mixing
    assert isinstance(rotation, layers.PolarExpressLinear)
    assert not torch.equal(rotation.weight, mixing.weight)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 11}, "width=11 for model 'lipnext' must be at least the 12 numbers of a patch"),
        ({"depth": 0}, "depth=0 for model 'lipnext'"),
        ({"patch": 3}, r"patch=3 for model 'lipnext' does not divide the image of input_shape=\(3, 4, 4\)"),
        ({"patch": 0}, "patch=0 for model 'lipnext'"),
        ({"positions": "no"}, "positions='no' for model 'lipnext' must be True or False"),
        ({"shift_ratio": 0.5}, "shift_ratio=0.5 makes no block of model 'lipnext'"),
        ({"layer": "cpl"}, "linear='cpl' .* rotation=CPLLinear in LipNeXtBlock2d must be a dense layer"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.build("lipnext", input_shape=SHAPE, n_classes=3, **(SMALL | options))
