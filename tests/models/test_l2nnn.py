"""L2-nonexpansive networks: structure, one constant of 1 for each logit, radii of half the margin."""

import pytest
import torch
from torch import nn

from onelip import layers, lipschitz_bound, models
from onelip.certify import certify, verify
from onelip.layers import Join, L2NormPool2d, NonexpansiveConv2d, NonexpansiveLinear, TwoSidedReLU

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
SMALL = {"widths": [2, 3], "shared": [4], "dense": [3], "kernel_size": 3}


def on_meta(shape, **options):
    with torch.device("meta"):
        return models.build("l2nnn", input_shape=shape, n_classes=10, **options)


def test_the_published_kinds():
    model = on_meta(MNIST)
    assert model(torch.empty(2, *MNIST, device="meta")).shape == (2, 10)
    kinds = [type(m) for m in model[:-1]]
    assert kinds == [
        NonexpansiveConv2d, TwoSidedReLU, L2NormPool2d, NonexpansiveConv2d, TwoSidedReLU, L2NormPool2d,
        nn.Flatten, NonexpansiveLinear, TwoSidedReLU,
    ]  # fmt: skip
    assert model.conv2.in_channels == 64
    assert model.shared1.in_features == 7 * 7 * 128
    cifar = on_meta(CIFAR, widths=[8, 8, 16], pooled=[2, 3], shared=[16], separate=True)
    assert cifar(torch.empty(2, *CIFAR, device="meta")).shape == (2, 10)
    assert cifar.crop(torch.empty(1, *CIFAR, device="meta")).shape == (1, 3, 28, 28)
    assert len(cifar) == 2
    assert len(cifar.rows.branches) == 10


def test_the_middle_is_kept():
    model = models.build("l2nnn", input_shape=(1, 31, 32), n_classes=2, **SMALL)
    x = torch.rand(1, 1, 31, 32)
    assert torch.equal(model.crop(x), x[:, :, 1:29, 2:30])


@pytest.mark.parametrize("separate", [False, True])
def test_each_logit_is_1_lipschitz_and_pairs_are_2(separate, tmp_path):
    model = models.build("l2nnn", input_shape=(1, 8, 8), n_classes=5, separate=separate, **SMALL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    for row in range(5):
        picked = nn.Sequential(*model[:-1], model.rows.branches[row])
        assert lipschitz_bound(picked, (1, 8, 8)).value <= 1 + 1e-5
    bound = lipschitz_bound(model, (1, 8, 8))
    assert bound.proved
    assert bound.value <= 5**0.5 * (1 + 1e-5)
    images = torch.rand(4, 1, 8, 8)
    logits = model(images).detach()
    certificate = certify(model, images, logits.argmax(1))
    assert float(certificate.pair_constants.max()) <= 2 * (1 + 1e-5)
    top = logits.topk(2).values
    halves = (top[:, 0] - top[:, 1]) / 2
    assert bool((torch.from_numpy(certificate.radii) >= halves * (1 - 1e-4) - 1e-5).all())
    certificate.save(tmp_path)
    assert verify(tmp_path).ok
    assert torch.allclose(layers.to_plain(model)(images), logits, atol=1e-6)


def test_methods_and_activations_can_be_changed():
    model = models.build("l2nnn", input_shape=(1, 8, 8), n_classes=3, layer="aoc", activation="maxmin", **SMALL)
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 3)
    assert isinstance(model.rows, Join)


def test_each_option_changes_the_network():
    default = str(on_meta(MNIST))
    changes = (
        {"widths": [8, 8]}, {"pooled": [2]}, {"kernel_size": 3}, {"shared": []}, {"dense": [4]}, {"separate": True}
    )  # fmt: skip
    for change in changes:
        assert str(on_meta(MNIST, **change)) != default, change


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size=4 for model 'l2nnn' must be odd"),
        ({"pooled": [3]}, r"pooled=\[3\] for model 'l2nnn' must name different convolutions from 1 to 2"),
        ({"pooled": [1, 1]}, r"pooled=\[1, 1\] for model 'l2nnn'"),
        ({"separate": 1}, "separate=1 for model 'l2nnn' must be True or False"),
        ({"input_shape": (1, 10, 8)}, r"input_shape=\(1, 10, 8\) does not fit model 'l2nnn', which halves"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.build("l2nnn", **({"input_shape": (1, 8, 8), "n_classes": 3} | options))
