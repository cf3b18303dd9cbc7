"""What is refused when weights of other layers are loaded: each with one sentence."""

from __future__ import annotations

import pytest
import torch

from onelip import layers
from onelip.experiments.convert import known_layers, load_layer_
from onelip.experiments.convert.layer_rules import register_rule
from onelip.experiments.errors import UserError


def test_every_class_loads_into_layers_that_exist():
    known = known_layers()
    assert {"AOLConv2d", "BCOP", "CayleyConv", "CPLConv2d", "LOT", "SLLConv2d", "SOC"} <= set(known)
    assert {"AOLConv2D", "BcopRkoConv2d", "FastBlockConv2d", "OrthoLinear", "RKOConv2d"} <= set(known)
    for into in known.values():
        assert all(hasattr(layers, name) or hasattr(torch.nn, name) for name in into)


@pytest.mark.parametrize(
    ("source", "tensors", "sentence"),
    [
        ("Cayleyconv", {}, "the class of Block1.0, 'Cayleyconv' is unknown; did you mean 'CayleyConv'?"),
        ("SOC", {}, "Block1.0, a SOC, loads into SOCConv2d, and the layer here is AOLConv2d"),
        (
            "AOLConv2d",
            {"bias": torch.zeros(4)},
            "parametrizations.weight.original of Block1.0, a AOLConv2d, is missing in the checkpoint",
        ),
        (
            "AOLConv2d",
            {"parametrizations.weight.original": torch.zeros(4, 4, 5, 5), "bias": torch.zeros(4)},
            "raw_weight of Block1.0, a AOLConv2d, has shape (4, 4, 5, 5), and (4, 4, 3, 3) in AOLConv2d",
        ),
        (
            "AOLConv2d",
            {"parametrizations.weight.original": torch.zeros(4, 4, 3, 3)},
            "bias of Block1.0, a AOLConv2d, has shape None, and (4,) in AOLConv2d",
        ),
        (
            "AOLConv2d",
            {"parametrizations.weight.original": torch.full((4, 4, 3, 3), torch.nan)},
            "parametrizations.weight.original of Block1.0, a AOLConv2d, holds numbers that are not finite",
        ),
    ],
)
def test_refusals(source, tensors, sentence):
    layer = layers.conv2d("aol", 4, 4, 3, padding=1)
    with pytest.raises(UserError) as caught:
        load_layer_(layer, source, tensors, where="Block1.0")
    assert str(caught.value) == sentence


def test_a_layer_without_a_bias_takes_none():
    layer = layers.conv2d("aol", 4, 4, 3, padding=1, bias=False)
    assert load_layer_(layer, "AOLConv2d", {"parametrizations.weight.original": torch.randn(4, 4, 3, 3)}).exact


def test_a_kernel_of_another_shape_is_not_projected():
    rule = {"parametrizations.weight.original": torch.randn(8, 4, 3, 3), "bias": torch.zeros(8)}
    with pytest.raises(UserError, match=r"the weight of the layer, a RKOConv2d, has shape \(8, 4, 3, 3\), and"):
        load_layer_(layers.conv2d("aoc", 4, 8, 2, stride=2), "RKOConv2d", rule, project=True)


def test_rules_can_be_added():
    @register_rule("Test", into=("Linear",))
    def rule(layer, source):
        raise UserError(source.where)

    try:
        assert known_layers()["Test"] == ("Linear",)
        with pytest.raises(UserError, match="here"):
            load_layer_(torch.nn.Linear(1, 1), "Test", {}, where="here")
    finally:
        from onelip.experiments.convert import layer_rules

        del layer_rules._RULES["Test"]
