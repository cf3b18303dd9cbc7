"""Networks of Layers Compared: sizes, layers, paddings, heads and seeds."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import search_settings
from tests.experiments.convert.test_layers_compared import converted, example

from onelip import layers, models
from onelip.experiments.convert import compared_model
from onelip.experiments.errors import UserError


def test_every_class_has_a_part_of_that_name():
    assert set(compared_model.LAYERS.values()) <= {*layers.available("conv2d"), "plain"}
    assert set(compared_model.LINEAR.values()) <= {*layers.available("linear"), "plain"}
    assert set(compared_model.ACTIVATIONS.values()) <= set(layers.available("activation"))
    assert set(compared_model.MODELS.values()) <= set(models.available())


@pytest.mark.parametrize(
    ("method", "linear", "padding"),
    [
        ("AOLConv2d", "aol", "circular"),
        ("BCOP", "bjorck", "circular"),
        ("CPLConv2d", "cpl", "zeros"),
        ("CayleyConv", "cayley", "circular"),
        ("LOT", "lot", "zeros"),
        ("SLLConv2d", "sll", "zeros"),
        ("SOC", "polar-express", "zeros"),
    ],
)
def test_padding_and_head_are_those_of_the_published_network(tmp_path, method, linear, padding):
    tree = converted(tmp_path, search_settings(method)).tree
    assert tree["linear"] == linear
    assert tree["model"].get("padding_mode", "circular") == padding
    assert tree["activation"] == "maxmin-adjacent"


def test_bcop_has_the_published_parameters(tmp_path):
    options = converted(tmp_path, search_settings("BCOP")).tree["layer_options"]
    assert options == {"square": True, "width_first": True}


@pytest.mark.parametrize(
    ("name", "ours"),
    [("TConvNetL", {"name": "tiny-convnet-l"}), ("ConvNetM_1x1", {"name": "convnet-m", "kernel_size": 1})],
)
def test_names_of_sizes(tmp_path, name, ours):
    assert converted(tmp_path, search_settings("AOLConv2d", name)).tree["model"] == ours


def test_a_network_of_its_own_sizes(tmp_path):
    text = search_settings("AOLConv2d").replace("name: conv_net", "name: SimplifiedConvNet\n  base_width: 8")
    text = text.replace("  model_id: ConvNetXS\n", "")
    expected = {"name": "convnet-xs", "width": 8, "blocks": 5, "depth": 3, "kernel_size": 1}
    assert converted(tmp_path, text).tree["model"] == expected


def test_sizes_that_the_name_overrides_are_listed(tmp_path):
    text = search_settings("AOLConv2d").replace("name: conv_net", "name: conv_net\n  base_width: 8")
    conversion = converted(tmp_path, text)
    assert conversion.tree["model"] == {"name": "convnet-xs"}
    assert "no counterpart: model.base_width=8 (ConvNetXS overrides it)" in conversion.notes


def test_other_ends_are_listed(tmp_path):
    text = search_settings("SOC").replace("!layer SOC", "!layer SOC\n  get_conv_first: !layer BCOP", 1)
    notes = converted(tmp_path, text).notes
    assert any(note.startswith("no counterpart: model.get_conv_first=!layer BCOP (the first") for note in notes)
    assert any("the head is a polar-express layer, there a 1x1 convolution by soc" in note for note in notes)


def test_a_head_beside_a_dense_layer_is_listed(tmp_path):
    text = search_settings("BCOP").replace("get_linear", "get_conv_head: !layer SOC\n  get_linear", 1)
    assert any("get_linear goes before" in note for note in converted(tmp_path, text).notes)


def test_a_given_seed_is_taken(tmp_path):
    assert example(converted(tmp_path, search_settings("LOT").replace("!randint [0, 999]", "613"))).seed == 613


def test_a_layer_that_is_drawn_by_numbers_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no name; draw it by !choice"):
        converted(tmp_path, search_settings("SOC").replace("!layer SOC", "!randint [0, 3]", 1))
