"""Dense networks."""

import pytest
import torch
from torch import nn

from onelip import layers, lipschitz_bound, models
from onelip.certify import certify


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


SMALL = {"input_shape": (1, 2, 2), "n_classes": 3, "layer": "bjorck", "activation": "maxmin"}


@pytest.mark.parametrize("name", ["mlp", "fc-3"])
def test_dropout_is_for_training_alone(name):
    torch.manual_seed(0)
    model = models.build(name, **SMALL, widths=[8, 8], dropout_input=0.2, dropout_hidden=0.5)
    kinds = [type(m).__name__ for m in model]
    assert kinds == ["Flatten", "Dropout", *["BjorckLinear", "MaxMin", "Dropout"] * 2, "BjorckLinear"]
    assert [m.p for m in model if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5]
    without = models.build(name, **SMALL, widths=[8, 8])
    without.load_state_dict(model.state_dict())
    x = torch.rand(5, 1, 2, 2)
    assert torch.equal(model.eval()(x), without.eval()(x))
    model.train()
    assert not torch.equal(model(x), model(x))
    # Nothing but parts of the input is dropped.
    only_input = models.build("mlp", **SMALL, widths=[8], dropout_input=0.5)
    assert [name for name, _ in only_input.named_children()][1] == "drop"


def test_a_network_with_dropout_is_certified_as_it_evaluates():
    torch.manual_seed(0)
    model = models.build("mlp", **SMALL, widths=[8, 8], dropout_input=0.2, dropout_hidden=0.5)
    bound = lipschitz_bound(model, (1, 2, 2))
    assert bound.proved
    assert bound.value <= 1 + 1e-5
    images = torch.rand(6, 1, 2, 2)
    labels = model.eval()(images).argmax(1)
    certificate = certify(layers.to_plain(model), images, labels)
    margins = model(images).detach().topk(2).values
    assert certificate.accuracy == 1.0
    # The head is linear with orthonormal rows, so the radius of a pair is the gap over sqrt 2.
    gap = (margins[:, 0] - margins[:, 1]) / 2**0.5
    torch.testing.assert_close(torch.from_numpy(certificate.radii).float(), gap, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("value", [1.0, -0.1, True, "half"])
@pytest.mark.parametrize("name", ["mlp", "fc-3"])
def test_dropout_is_a_part(value, name):
    with pytest.raises(ValueError, match=f"dropout_hidden={value!r} for model '{name}'"):
        models.build(name, **SMALL, dropout_hidden=value)


def test_options_of_a_dense_layer_reach_it():
    model = models.build("mlp", **SMALL, widths=[8], layer_options={"max_steps": 3})
    assert [m.max_steps for m in model if isinstance(m, layers.BjorckLinear)] == [3, 3]
    assert not model.head.orthogonal
    with pytest.raises(
        ValueError, match=r"rank='free' is not an option of layer 'bjorck'; its options: order, max_steps"
    ):
        models.build("mlp", **SMALL, layer_options={"rank": "free"})
    # Of a method that has convolutions, they are those of the convolution.
    dense = models.build("mlp", **{**SMALL, "layer": "aoc"}, widths=[8], layer_options={"rank": "free"})
    assert all(type(m) is layers.AOCLinear for m in (dense.dense1, dense.head))
