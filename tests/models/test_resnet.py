"""ResNets: their published sizes, names and shapes, and that their constants can be proved."""

import math

import pytest
import torch
from torch import nn

import onelip
from onelip import models
from onelip.certify import certify
from onelip.spectral import affine_parts


def plain(name="resnet18", size=32, **options):
    options = {"layer": "plain", "activation": "relu", "n_classes": 10} | options
    return models.build(name, input_shape=(3, size, size), **options)


# Counts of github.com/kuangliu/pytorch-cifar, of parameters and of convolutions.
@pytest.mark.parametrize(
    ("name", "n_parameters", "n_convolutions"),
    [
        ("resnet18", 11_173_962, 20),
        ("resnet34", 21_282_122, 36),
        ("resnet50", 23_520_842, 53),
        ("resnet101", 42_512_970, 104),
        ("resnet152", 58_156_618, 155),
    ],
)
def test_published_sizes(name, n_parameters, n_convolutions):
    with torch.device("meta"):
        model = plain(name)
    assert sum(p.numel() for p in model.parameters()) == n_parameters
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == n_convolutions


def test_every_convolution_gets_the_image_that_it_should():
    parts = affine_parts(plain(width=4), (3, 32, 32))
    shapes = {p.name: p.input_shape for p in parts if isinstance(p.module, nn.Conv2d | nn.Linear)}
    assert len(shapes) == 21
    assert shapes["conv1"] == (3, 32, 32)
    assert shapes["layer2.0.conv1"] == shapes["layer2.0.shortcut.0"] == (4, 32, 32)
    assert shapes["layer2.1.conv1"] == (8, 16, 16)
    assert shapes["layer4.0.shortcut.0"] == (16, 8, 8)
    assert shapes["layer4.1.conv2"] == (32, 4, 4)
    assert shapes["linear"] == (32,)
    strided = {n for n, m in plain(width=4).named_modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)}
    assert strided == {f"layer{i}.0.{name}" for i in (2, 3, 4) for name in ("conv1", "shortcut.0")}


def test_names_are_those_of_published_checkpoints():
    names = set(plain(width=4).state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.bn2.bias", "layer2.0.shortcut.1.weight", "linear.bias"} < names
    assert len(names) == 122


def test_convolutions_are_padded_with_zeros_and_have_no_bias():
    model = plain(width=4)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert {(m.padding_mode, m.bias) for m in convolutions} == {("zeros", None)}
    without = plain(width=4, batch_norm=False)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in without.modules())
    assert sum(isinstance(m, nn.Conv2d) for m in without.modules()) == 20


def test_without_batch_normalisation_the_constant_is_a_product_of_sums():
    model = plain(width=2, size=8, blocks=(1, 1), n_classes=3, batch_norm=False).eval()
    bound = onelip.lipschitz_bound(model, (3, 8, 8))
    norms = {}
    for part in affine_parts(model, (3, 8, 8)):
        units = torch.eye(math.prod(part.input_shape)).reshape(-1, *part.input_shape)
        with torch.no_grad():
            matrix = (part.module(units) - part.module(torch.zeros_like(units))).flatten(1).double()
        norms[part.name] = float(torch.linalg.matrix_norm(matrix, ord=2))
    first = 1 + norms["layer1.0.conv1"] * norms["layer1.0.conv2"]
    second = norms["layer2.0.shortcut.0"] + norms["layer2.0.conv1"] * norms["layer2.0.conv2"]
    # The mean over what is left, 4x4, has norm 1/4.
    expected = norms["conv1"] * first * second * norms["linear"] / 4
    assert bound.proved
    assert expected * (1 - 1e-5) <= bound.value <= 1.05 * expected


@pytest.mark.parametrize(("rescale", "halved"), [("none", 0), ("projections", 3), ("all", 8)])
def test_halving(rescale, halved):
    assert sum(isinstance(m, onelip.layers.Scale) for m in plain(width=4, rescale=rescale).modules()) == halved


@pytest.mark.parametrize("options", [{"batch_norm": False}, {"batch_norm": True}])
def test_it_can_be_certified(options):
    torch.manual_seed(0)
    model = plain(width=2, size=8, blocks=(1, 1), n_classes=3, rescale="projections", mean=(0.5,) * 3, **options)
    model.train()(torch.rand(16, 3, 8, 8))
    certificate = certify(model.eval(), torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))
    assert certificate.bound.proved


def test_images_of_any_size_fit_plain_layers():
    assert plain(width=2, size=28)(torch.rand(2, 3, 28, 28)).shape == (2, 10)
    assert plain(width=2, size=9)(torch.rand(2, 3, 9, 9)).shape == (2, 10)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 0}, "width=0 for model 'resnet18'"),
        ({"blocks": (2, 0)}, r"blocks=\(2, 0\)"),
        ({"rescale": True}, "rescale=True"),
        ({"batch_norm": "no"}, "batch_norm='no'"),
        ({"layer": "aoc", "size": 12}, "multiples of 8"),
        ({"layer": "bcop"}, "layer='bcop' has no convolution of stride 2, which this model needs; use one of"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        plain(**options)
