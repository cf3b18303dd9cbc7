import pytest
import torch
from torch import nn

from onelip import layers, models


def test_structure():
    net = models.build("mlp", input_shape=(1, 8, 8), n_classes=10, linear="bjorck", widths=(32, 16))
    kinds = [type(m).__name__ for m in net]
    assert kinds == ["Flatten", "BjorckLinear", "MaxMin", "BjorckLinear", "MaxMin", "UnitNormLinear"]
    assert net(torch.rand(3, 1, 8, 8)).shape == (3, 10)


def test_the_baseline_has_no_constrained_layer():
    net = models.build("mlp", input_shape=(1, 8, 8), n_classes=10, layer="plain", activation="relu")
    affine = [m for m in net.modules() if hasattr(m, "weight")]
    assert all(type(m) is nn.Linear for m in affine)


def test_head_of_the_same_method():
    net = models.build("mlp", input_shape=(1, 8, 8), n_classes=10, linear="qr", head=None)
    assert isinstance(net[-1], layers.QRLinear)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"widths": ()}, "widths="), ({"widths": (3.5,)}, "widths="), ({"head": "unit-nrom"}, "did you mean 'unit-norm'")],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        models.build("mlp", input_shape=(1, 8, 8), n_classes=10, **options)
