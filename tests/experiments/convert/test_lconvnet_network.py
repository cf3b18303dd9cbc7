"""Networks of LConvNet."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import convolutional, dense, experiment_yaml
from tests.experiments.convert.test_lconvnet import converted

from onelip.experiments.errors import UserError

OPTIONS = {"square": True, "width_first": True}


@pytest.mark.parametrize(
    ("convolution", "layer", "options"),
    [
        ("BCOP, ortho_mode: bjorck, mask_half: true, projection: false", "bcop", OPTIONS),
        ("BCOP, frozen: true", "bcop", {**OPTIONS, "frozen": True}),
        ("RKO", "rko", None),
        ("OSSN, n_iters: 10", "ossn", None),
        ("SVCM, num_projections: 50, orthogonal: false", "svcm", None),
        ("NonexpansiveConv2d", "rk-l2ne", None),
    ],
)
def test_convolutions(tmp_path, convolution, layer, options):
    tree = converted(tmp_path, experiment_yaml(convolutional("LargeConvNet", convolution), dataset="mnist")).tree
    assert tree["model"] == {"name": "lconvnet-large"}
    assert (tree["layer"], tree["linear"], tree["activation"]) == (layer, "bjorck", "maxmin")
    assert tree.get("layer_options") == options
    assert tree["data"]["name"] == "mnist"


def test_projections_at_other_times_are_listed(tmp_path):
    text = experiment_yaml(convolutional("SmallConvNet", "SVCM")).replace(
        "proj_every_n_its: 100", "proj_every_n_its: 20"
    )
    assert "no counterpart: trainer.proj_every_n_its=20" in converted(tmp_path, text).notes


def test_a_wider_network(tmp_path):
    net = convolutional("LargeConvNet", "RKO") + "\n  size_factor: 2"
    assert converted(tmp_path, experiment_yaml(net)).tree["model"] == {
        "name": "lconvnet-large",
        "width": 64,
        "dense": 1024,
    }


def test_a_dense_network(tmp_path):
    tree = converted(tmp_path, experiment_yaml(dense(), dataset="mnist")).tree
    assert (tree["model"], tree["layer"]) == ({"name": "mlp", "widths": [64, 64]}, "bjorck")
    assert (tree["activation"], "linear" in tree) == ("relu", False)


def test_constants_and_groups_are_listed(tmp_path):
    text = (
        convolutional("SmallConvNet", "RKO")
        .replace("scaling: 1.0", "scaling: 4.0")
        .replace("group_size: 2", "group_size: 4")
    )
    notes = converted(tmp_path, experiment_yaml(text)).notes
    assert "no counterpart: trainer.net.scaling=4.0 (the network's constant is 1)" in notes
    assert "no counterpart: activation.group_size=4 (maxmin sorts pairs)" in notes


@pytest.mark.parametrize(
    ("net", "model", "activation"),
    [
        ("net: {<type>: kw, dataset_name: mnist, model_name: large}", "kw-large", "relu"),
        ("net: {<type>: qian, dataset_name: mnist, model_index: 4}", "l2nnn", "two-sided-relu"),
    ],
)
def test_baselines(tmp_path, net, model, activation):
    conversion = converted(tmp_path, experiment_yaml(net, dataset="mnist"))
    assert conversion.tree["model"]["name"] == model
    assert conversion.tree["activation"] == activation
    assert any("loads the weights of its authors" in note for note in conversion.notes)


def test_a_sequence_without_a_network_is_refused(tmp_path):
    net = "net: {<type>: Sequential, <list>: [{<type>: Rearrange}]}"
    with pytest.raises(UserError, match=r"trainer\.net has no MLP in its <list>"):
        converted(tmp_path, experiment_yaml(net))
