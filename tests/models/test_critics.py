"""The critics: sizes, published counts, every method, constants."""

import pytest
import torch
from torch import nn

from onelip import layers, lipschitz_bound, models


@pytest.mark.parametrize(("side", "features"), [(8, 4 * 4 * 2), (28, 7 * 7 * 4), (32, 4 * 4 * 8), (64, 256), (96, 576)])
def test_the_dcgan_critic_takes_images_at_their_own_size(side, features):
    critic = models.build("dcgan-critic", input_shape=(3, side, side), n_classes=1, layer="plain", width=2)
    assert critic(torch.rand(2, 3, side, side)).shape == (2, 1)
    assert critic.get_submodule("head").in_features == features
    halvings = [m for m in critic if isinstance(m, nn.Conv2d)]
    assert all((c.kernel_size, c.stride, c.padding) == ((4, 4), (2, 2), (1, 1)) for c in halvings)


def test_parameter_counts_are_those_of_the_published_shapes():
    def count(name, shape):
        with torch.device("meta"):
            model = models.build(name, input_shape=shape, n_classes=1, layer="plain")
        return sum(p.numel() for p in model.parameters())

    convs = [(3, 64), (64, 128), (128, 256), (256, 512)]
    assert count("dcgan-critic", (3, 64, 64)) == sum(16 * a * b + b for a, b in convs) + 8192 + 1
    dense = 128 * 7 * 7 * 1024 + 1024 + 1024 + 1
    assert count("infogan-critic", (1, 28, 28)) == 16 * 64 + 64 + 16 * 64 * 128 + 128 + dense


@pytest.mark.parametrize("layer", [*layers.available("conv2d"), "plain"])
@pytest.mark.parametrize("name", ["dcgan-critic", "infogan-critic"])
def test_every_method_fits(name, layer):
    options = {"down_kernel": 3 if layer.endswith("soc") else 2}
    options |= {"width": 4} if name == "dcgan-critic" else {"widths": [4, 4], "dense": [6]}
    model = models.build(name, input_shape=(1, 8, 8), n_classes=1, layer=layer, **options).eval()
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 1)
    if layer != "plain" and layers.record("conv2d", layer).norm == "l2":
        bound = lipschitz_bound(model, (1, 8, 8))
        assert bound.proved
        assert bound.value <= 1.0001


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("dcgan-critic", (1, 6, 6), r"input_shape=\(1, 6, 6\) does not fit model 'dcgan-critic'; .* at least 8"),
        ("dcgan-critic", (1, 9, 8), r"input_shape=\(1, 9, 8\) does not fit"),
        ("infogan-critic", (1, 6, 8), r"input_shape=\(1, 6, 8\) does not fit .* must be multiples of 4"),
    ],
)
def test_images_that_cannot_be_halved_are_refused(name, shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.build(name, input_shape=shape, n_classes=1)
