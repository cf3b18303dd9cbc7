"""Networks of sandwich layers: published sizes, structure, what does not fit."""

import pytest
import torch

from onelip import layers, models

NAMES = ("sandwich-net", "sandwich-s", "sandwich-m", "sandwich-l")


def on_meta(name="sandwich-net", side=32, n_classes=100, **options):
    with torch.device("meta"):
        return models.build(name, input_shape=(3, side, side), n_classes=n_classes, **options)


def count(model):
    return sum(p.numel() for p in model.parameters())


# Millions, on CIFAR-100 and Tiny-ImageNet, as tables of later papers give them.
@pytest.mark.parametrize(("side", "n_classes", "published"), [(32, 100, 26), (64, 200, 39)])
def test_published_sizes(side, n_classes, published):
    assert round(count(on_meta(side=side, n_classes=n_classes)) / 1e6) == published


@pytest.mark.parametrize(("size", "factor"), [("s", 1), ("m", 2), ("l", 4)])
def test_sizes_by_the_layers_of_the_published_program(size, factor):
    w, total = factor, 0
    for n_in, n_out, k in ((3, 32 * w, 3), (128 * w, 32 * w, 1), (32 * w, 64 * w, 3), (256 * w, 64 * w, 1)):
        # The kernels of A and B, their common length, the bias and psi.
        total += n_out * (n_in + n_out) * k * k + 1 + 2 * n_out
    for n_in, n_out in ((64 * 64 * w, 512 * w), (512 * w, 512 * w)):
        total += n_out * (n_in + n_out) + 1 + 2 * n_out
    assert count(on_meta(f"sandwich-{size}")) == total + 512 * w * 100 + 100


def test_the_structure():
    model = on_meta()
    assert [n for n, _ in model.named_children()] == [
        *("conv1", "down1", "conv2", "down2", "conv3", "down3", "flatten", "dense1", "dense2", "dense3", "head")
    ]
    assert type(model.head) is layers.UnitNormLinear
    assert (model.conv3.arguments.padding_mode, model.conv3.arguments.out_channels) == ("circular", 256)
    assert model.dense1.in_features == 256 * 4 * 4
    assert hasattr(on_meta(side=64), "down4")
    assert not hasattr(on_meta(side=16), "down3")


@pytest.mark.parametrize("name", NAMES)
def test_forward_shapes(name):
    options = {"widths": [2, 4], "dense": [8, 6]}
    model = models.build(name, input_shape=(3, 8, 4), n_classes=3, **options).eval()
    assert model(torch.rand(2, 3, 8, 4)).shape == (2, 3)


@pytest.mark.parametrize("options", [{"widths": [8]}, {"dense": []}, {"head": "cayley"}])
@pytest.mark.parametrize("name", NAMES[:2])
def test_each_option_changes_the_network(name, options):
    assert str(on_meta(name, **options)) != str(on_meta(name))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("sandwich-net", {"side": 36}, "multiples of 8"),
        ("sandwich-s", {"side": 30}, r"input_shape=\(3, 30, 30\) does not fit model 'sandwich-s'; .* multiples of 4"),
        ("sandwich-l", {"widths": [0]}, r"widths=\[0\] for model 'sandwich-l'"),
        ("sandwich-net", {"dense": 3}, "dense=3 for model 'sandwich-net'"),
    ],
)
def test_what_does_not_fit_is_refused(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(name, **options)
