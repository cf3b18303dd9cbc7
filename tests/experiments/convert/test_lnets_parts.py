"""Layers, activations, optimisers and schedules of LNets."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import classifier_json, write_json

from onelip import layers
from onelip.experiments.convert.lnets_parts import LINEAR
from onelip.experiments.convert.settings import convert_settings


def converted(tmp_path, **values):
    return convert_settings(write_json(tmp_path, classifier_json(**values)))


def test_every_layer_is_one_of_ours():
    assert set(LINEAR.values()) <= {*layers.available("linear"), "plain"}


@pytest.mark.parametrize(
    ("name", "groups", "ours"),
    [
        ("relu", [2, 2, 1], "relu"),
        ("maxmin", [2, 2, 1], "maxmin"),
        ("maxout", [2, 2, 1], "maxout"),
        ("group_sort", [2, 2, 1], "groupsort"),
        ("group_sort", [64, 32, 1], "fullsort"),
        ("group_sort", [8, 8, 1], "groupsort"),
    ],
)
def test_activations(tmp_path, name, groups, ours):
    conversion = converted(tmp_path, model__activation=name, model__groupings=groups)
    assert conversion.tree["activation"] == ours
    listed = any(note.startswith("no counterpart: model.groupings") for note in conversion.notes)
    assert listed == (groups == [8, 8, 1])


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("sgd", {"name": "sgd", "momentum": 0.9, "nesterov": False}),
        ("nesterov", {"name": "sgd", "momentum": 0.9, "nesterov": True}),
        ("aggmo", {"name": "aggmo", "betas": [0.0, 0.9]}),
        ("adam", {"name": "adam", "betas": [0.9, 0.999]}),
    ],
)
def test_optimisers(tmp_path, name, ours):
    section = converted(tmp_path, optim__optimizer=name, optim__wdecay=0.5).tree["optimizer"]
    assert section == {"lr": 0.001, "weight_decay": 0.5} | ours


def test_an_exponential_schedule(tmp_path):
    schedule = {"name": "exp", "lr_init": 0.1, "lr_decay": 0.5}
    assert converted(tmp_path, optim__lr_schedule=schedule).tree["schedule"] == {"name": "exponential", "end": 0.5**10}


def test_milestones_beyond_the_end(tmp_path):
    conversion = converted(tmp_path, optim__epochs=5)
    assert conversion.tree["schedule"] == {"name": "constant"}
    assert any("beyond 5 epochs" in note for note in conversion.notes)


def test_gradients_are_clipped_where_that_ever_acts(tmp_path):
    assert "gradient_clip" not in converted(tmp_path).tree["trainer"]
    assert converted(tmp_path, optim__max_grad_norm=10).tree["trainer"]["gradient_clip"] == 10.0


def test_options_without_a_counterpart_are_listed(tmp_path):
    notes = "\n".join(
        converted(tmp_path, model__linear={"type": "spectral_normal", "power_iters": 1, "bias": False}).notes
    )
    assert "no counterpart: model.linear.bias=false (layers have a bias)" in notes
    assert "model.linear.power_iters=1 (not read by spectral_normal)" in notes
    assert "by an estimate, always" in notes
