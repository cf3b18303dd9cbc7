"""Dense networks."""

import pytest
import torch
from torch import nn

from onelip import layers, models


def test_widths_are_those_given():
    model = models.build("mlp", input_shape=(2, 3, 4), n_classes=5, layer="plain", widths=[8, 6])
    dense = [m for m in model if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in dense] == [(24, 8), (8, 6), (6, 5)]


def test_default_widths():
    model = models.build("mlp", input_shape=(1, 2, 2), n_classes=2, layer="plain")
    assert [m.out_features for m in model if isinstance(m, nn.Linear)] == [256, 256, 256, 2]


def test_without_hidden_layers_it_is_linear():
    model = models.build("mlp", input_shape=(1, 2, 2), n_classes=2, layer="plain", widths=[])
    x = torch.rand(3, 1, 2, 2)
    assert torch.equal(model(x), nn.functional.linear(x.flatten(1), model.head.weight, model.head.bias))


def test_the_head_may_have_a_method_of_its_own():
    options = {"input_shape": (1, 2, 2), "n_classes": 2, "widths": [4]}
    assert type(models.build("mlp", **options, layer="bjorck", head="aol").head) is layers.AOLLinear
    assert type(models.build("mlp", **options, layer="bjorck").head) is layers.BjorckLinear
    with pytest.raises(ValueError, match="did you mean 'bjorck'"):
        models.build("mlp", **options, head="bjorkk")


def test_the_baseline_has_no_constrained_layer():
    model = models.build("mlp", input_shape=(1, 2, 2), n_classes=2, layer="plain")
    assert all(type(m) is nn.Linear for m in model.modules() if hasattr(m, "weight"))
