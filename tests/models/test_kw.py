"""The networks of training against relaxations: published parameter totals, geometry, what they refuse."""

import pytest
import torch
from torch import nn

from onelip import models
from onelip.layers import ReLU

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)

# Weights and biases, counted by hand from the layers of the paper.
TOTALS = {
    ("kw-small", MNIST): 16 * 16 + 16 + 32 * 16 * 16 + 32 + 1568 * 100 + 100 + 1010,
    ("kw-small", CIFAR): 16 * 3 * 16 + 16 + 32 * 16 * 16 + 32 + 2048 * 100 + 100 + 1010,
    ("kw-large", MNIST): 320 + 16416 + 18496 + 65600 + 3136 * 512 + 512 + 512 * 512 + 512 + 5130,
}


@pytest.mark.parametrize(("name", "shape"), TOTALS)
def test_layers_are_the_published_ones(name, shape):
    with torch.device("meta"):
        model = models.build(name, input_shape=shape, n_classes=10)
    assert sum(p.numel() for p in model.parameters()) == TOTALS[name, shape]
    assert model(torch.empty(2, *shape, device="meta")).shape == (2, 10)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert all(type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and conv.padding == (1, 1) for conv in convs)
    expected = [(4, 2), (4, 2)] if name == "kw-small" else [(3, 1), (4, 2), (3, 1), (4, 2)]
    assert [(conv.kernel_size[0], conv.stride[0]) for conv in convs] == expected
    activations = [m for m in model.modules() if isinstance(m, ReLU)]
    assert len(activations) == (3 if name == "kw-small" else 6)


def test_not_the_same_function_as_lconvnet_with_plain_layers():
    # A 4x4 kernel of stride 2 and padding 1 reaches into three pixels of the halved image in each direction.
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 3, 3] = 1
    kw = models.build("kw-small", input_shape=(1, 8, 8), n_classes=2)
    published = models.build("lconvnet-small", input_shape=(1, 8, 8), n_classes=2, layer="plain")
    assert int((kw.conv1(x) - kw.conv1(0 * x)).abs().amax(1).count_nonzero()) == 4
    assert kw.conv1(x).shape == published.conv1(published.down1(x)).shape
    assert published.conv1.kernel_size == (2, 2)


@pytest.mark.parametrize("name", ["kw-small", "kw-large"])
def test_what_is_refused(name):
    with pytest.raises(ValueError, match=rf"input_shape=\(1, 6, 8\) does not fit model '{name}'"):
        models.build(name, input_shape=(1, 6, 8), n_classes=3)
    with pytest.raises(ValueError, match=f"width=0 for model '{name}'"):
        models.build(name, input_shape=(1, 8, 8), n_classes=3, width=0)
