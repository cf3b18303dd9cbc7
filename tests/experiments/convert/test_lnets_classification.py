"""Classifiers of LNets: networks, losses, projections and data."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.experiments.convert.settings_files import classifier_json, write_json

from onelip import losses
from onelip.experiments.convert.settings import convert_settings
from onelip.experiments.convert.written import check_conversion
from onelip.experiments.errors import UserError


def converted(tmp_path, *changes, **values):
    conversion = convert_settings(write_json(tmp_path, classifier_json(**values)), changes)
    check_conversion(conversion)
    return conversion


def test_a_dense_network(tmp_path):
    conversion = converted(tmp_path)
    assert conversion.tree | {"certify": 0, "attack": 0} == {
        "name": "small",
        "seed": 3,
        "data": {"name": "mnist", "batch_size": 64, "validation": 0.1, "normalize": "none"},
        "model": {"name": "mlp", "widths": [64, 32]},
        "layer": "bjorck",
        "activation": "maxmin",
        "loss": {"name": "cross-entropy"},
        "optimizer": {"name": "adam", "lr": 0.001, "weight_decay": 0.0, "betas": [0.9, 0.999]},
        "schedule": {"name": "step", "milestones": ["1/2", "4/5"], "factor": 0.1},
        "trainer": {"max_epochs": 10, "validate_every": 1},
        "certify": 0,
        "attack": 0,
    }
    for word in ("model.linear.bjorck_iter=20", "data.num_workers=2", "optim.betas=", "cuda=false"):
        assert any(word in note for note in conversion.notes)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("classify_fc_dropout", {"dropout_input": 0.2, "dropout_hidden": 0.5}), ("classify_fc_margin", {})],
)
def test_other_dense_networks(tmp_path, kind, options):
    assert converted(tmp_path, model__name=kind).tree["model"] == {"name": "mlp", "widths": [64, 32], **options}


def test_a_penalty_on_the_jacobian(tmp_path):
    tree = converted(tmp_path, model__name="classify_fc_spec_jac", model__sn_reg=0.1).tree
    assert tree["jacobian"] == {"kind": "spectral", "weight": 0.1, "iterations": 1}


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("classify_fc", F.cross_entropy),
        ("classify_fc_margin", lambda z, y: F.cross_entropy(z - 0.3 * 5 * F.one_hot(y, 4), y)),
        ("classify_fc_hinge", lambda z, y: F.multi_margin_loss(z, y, margin=0.3 * 5)),
    ],
)
def test_the_constant_of_the_network_moves_into_the_loss(tmp_path, kind, theirs):
    conversion = converted(tmp_path, model__name=kind, model__margin=0.3, model__l_constant=5, optim__optimizer="sgd")
    section = dict(conversion.tree["loss"])
    loss = losses.build(section.pop("name"), **section)
    z, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    # Logits of the network there are five times as large; a step of gradients that long is one of five times the rate.
    torch.testing.assert_close(5 * loss(z, y), theirs(5 * z, y).double())
    assert conversion.tree["optimizer"]["lr"] == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        (
            {"model__per_update_proj": {"turned_on": True, "type": "l_inf_projected"}},
            {"every": "step", "kind": "l-infinity"},
        ),
        (
            {"model__per_epoch_proj": {"turned_on": True, "type": "l_2", "every_n_epochs": 3, "bjorck_iter": 5}},
            {"every": "epoch", "n": 3, "reset_optimizer": False, "kind": "l2", "iterations": 5},
        ),
        ({"model__linear__type": "parseval_l2"}, {"every": "step", "kind": "l2", "iterations": 1}),
    ],
)
def test_projections(tmp_path, changes, ours):
    values = {"model__linear__type": "standard"} | changes
    assert converted(tmp_path, **values).tree["projection"] == ours


def test_l_infinity_is_certified_in_its_norm(tmp_path):
    assert converted(tmp_path, model__linear__type="l_inf_projected").tree["certify"]["norm"] == "linf"


def test_a_second_projection_is_listed(tmp_path):
    both = {"turned_on": True, "type": "l_2"}
    values = {"model__linear__type": "standard", "model__per_update_proj": both, "model__per_epoch_proj": dict(both)}
    assert any("model.per_epoch_proj" in note for note in converted(tmp_path, **values).notes)


def test_lenet(tmp_path):
    tree = converted(tmp_path, model__name="lenet_classify", model__dropout_on=True, model__activation="relu").tree
    assert (tree["model"], tree["layer"], tree["linear"]) == ({"name": "lenet", "dropout": 0.5}, "rko", "bjorck")


def test_few_images_of_each_class(tmp_path):
    tree = converted(tmp_path, data__indices_path="there", data__per_class_count=30).tree
    assert tree["data"]["subset"] == {"per_class": 30, "validation_per_class": 30}


def test_cifar_is_cropped_and_normalised(tmp_path):
    tree = converted(tmp_path, data__name="cifar10", data__transform={"type": "cifar"}, data__train_size=1).tree
    assert tree["data"]["normalize"] == "standardize"
    assert tree["data"]["augment"] == {"crop": 4, "flip": True}
    assert (tree["data"]["validation"], tree["certify"]["weights"]) == (0.0, "last")


def test_changes_are_made_first(tmp_path):
    tree = converted(tmp_path, "optim.epochs=20 model.layers=[8,10]", "data.transform.type=cifar cuda=false").tree
    assert tree["trainer"]["max_epochs"] == 20
    assert tree["model"]["widths"] == [8]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model__name": "resnet32"}, "model.name 'resnet32' is unknown"),
        ({"model__activation": "tanh"}, "model.activation 'tanh' is unknown"),
        ({"model__linear__type": "bjork"}, "model.linear.type 'bjork' is unknown; did you mean 'bjorck'?"),
        ({"data__name": "mnst"}, "data.name 'mnst' is unknown; did you mean 'mnist'?"),
        ({"optim__optimizer": "adm"}, "optim.optimizer 'adm' is unknown; did you mean 'adam'?"),
    ],
)
def test_what_is_unknown_is_named(tmp_path, values, sentence):
    with pytest.raises(UserError, match=r"config\.json, line \d+: " + sentence.replace("?", r"\?")):
        converted(tmp_path, **values)
