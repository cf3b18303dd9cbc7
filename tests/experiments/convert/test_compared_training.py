"""Losses, optimisers and schedules of Layers Compared."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import search_settings
from tests.experiments.convert.test_layers_compared import converted, example

from onelip.experiments.convert.conversion import Drawn


@pytest.mark.parametrize(
    ("text", "ours", "note"),
    [
        (
            "{name: LipCrossEntropyLossOLD, margin: 0.5}",
            {"name": "offset-cross-entropy", "margin": 0.5, "temperature": 1.0},
            "temperature as a factor, there not",
        ),
        ("{name: CrossEntropyLoss, label_smoothing: 0.1}", {"name": "cross-entropy"}, "loss.label_smoothing=0.1"),
        ("{name: MultiMarginLoss, margin: 2, p: 2}", {"name": "multi-margin", "margin": 2.0, "p": 2.0}, ""),
        (
            "{name: LipCrossEntropyLoss, margin: !randfloat [0.7, 0.8], temperature: !choice [0.25, 0.5]}",
            {
                "name": "offset-cross-entropy",
                "margin": Drawn("uniform", (0.7, 0.8)),
                "temperature": Drawn("choice", (0.25, 0.5)),
            },
            "",
        ),
    ],
)
def test_losses(tmp_path, text, ours, note):
    conversion = converted(tmp_path, search_settings("LOT", loss=f"!metric {text}"))
    assert conversion.tree["loss"] == ours
    assert note in "\n".join(conversion.notes)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (
            "{name: SGD, lr: 0.1, nesterov: true, momentum: 0.8, dampening: 0}",
            {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.8, "nesterov": True},
        ),
        (
            "{name: Adams, weight_decay: 1e-4}",
            {"name": "adam", "lr": 1e-3, "weight_decay": 1e-4, "betas": [0.9, 0.999], "eps": 1e-8},
        ),
    ],
)
def test_optimisers(tmp_path, text, ours):
    conversion = converted(tmp_path, search_settings("LOT", optimizer=f"!optimizer {text}"))
    assert conversion.tree["optimizer"] == ours
    assert example(conversion).optimizer.name == ours["name"]


def test_options_of_optimisers_that_are_none_here_are_listed(tmp_path):
    text = search_settings("LOT", optimizer="!optimizer {name: SGD, lr: 0.1, dampening: 0.5}")
    assert "no counterpart: optimizer.dampening=0.5" in converted(tmp_path, text).notes


@pytest.mark.parametrize(
    ("text", "ours", "note"),
    [
        (
            "{name: MultiStepLR, milestones: [50, 75, 300], gamma: 0.5}",
            {"name": "step", "milestones": ["1/2", "3/4"], "factor": 0.5},
            "beyond 100 epochs are left out",
        ),
        ("{name: MultiStepLR, milestones: [300]}", {"name": "constant"}, "never reached"),
        (
            "{name: OneCycleLR, epochs: 90, pct_start: 0.5, div_factor: 10, final_div_factor: 100, three_phase: true}",
            {"name": "one-cycle", "warmup": 0.5, "start": 0.1, "end": 0.001},
            "lr_scheduler.three_phase=true",
        ),
        ("{name: OneCycleLR, epochs: 90, anneal_strategy: linear}", None, "lr_scheduler.anneal_strategy=linear"),
        ("{name: OneCycleLR, epochs: 90}", None, "the cycle has the 100 epochs of the training, there 90"),
    ],
)
def test_schedules(tmp_path, text, ours, note):
    conversion = converted(tmp_path, search_settings("LOT", lr_scheduler=f"!scheduler {text}"))
    assert ours is None or conversion.tree["schedule"] == ours
    assert note in "\n".join(conversion.notes)
    example(conversion)


def test_without_a_schedule_the_rate_is_constant(tmp_path):
    text = "".join(line + "\n" for line in search_settings("LOT").splitlines() if not line.startswith("lr_scheduler"))
    assert converted(tmp_path, text).tree["schedule"] == {"name": "constant"}
