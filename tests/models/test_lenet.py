"""The two 5x5 convolutions of small-data experiments."""

import pytest
import torch

import onelip
from onelip import lipschitz_bound, models


def build(size=(1, 28, 28), **options):
    return models.build("lenet", input_shape=size, n_classes=10, **options)


def test_the_published_network():
    model = build(layer="plain")
    assert list(dict(model.named_children())) == [
        "conv1", "pool1", "act1", "conv2", "pool2", "act2", "flatten", "dense", "dense_act", "head",
    ]  # fmt: skip
    # 10 and 20 kernels of 5x5 with biases, 320 features, 50 hidden ones.
    assert sum(p.numel() for p in model.parameters()) == 10 * 26 + 20 * 251 + 321 * 50 + 51 * 10
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_constrained_it_is_one_lipschitz():
    model = build((3, 32, 30), width=4).eval()
    bound = lipschitz_bound(model, (3, 32, 30))
    assert bound.proved
    assert bound.value <= 1.0001
    assert type(model.conv1).__name__ == "RKOConv2d"
    assert type(model.head).__name__ == "BjorckLinear"


def test_dropout_is_for_training_alone():
    model, images = build((1, 16, 16), width=4, dropout=0.5, layer="aoc"), torch.rand(3, 1, 16, 16)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
    certificate = onelip.certify(model, images, model(images).argmax(1))
    assert certificate.bound.proved
    assert (certificate.radii > 0).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": (1, 15, 28)}, r"input_shape=\(1, 15, 28\) does not fit model 'lenet'"),
        ({"dropout": 1.0}, "dropout=1.0 for model 'lenet' must be at least 0 and below 1"),
        ({"width": 0}, "width=0"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(**options)
