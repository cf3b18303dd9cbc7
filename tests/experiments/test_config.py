"""Keys, types and limits of configurations."""

import pytest
from pydantic import ValidationError

from onelip.experiments.config import ExperimentConfig

SMALLEST = {"model": "mlp", "loss": "cross-entropy"}


def test_names_stand_for_mappings():
    config = ExperimentConfig.model_validate({**SMALLEST, "optimizer": "sgd", "schedule": "step", "data": "digits"})
    assert config.model.name == "mlp"
    assert config.optimizer.model_dump() == {
        "name": "sgd", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.9, "nesterov": False, "lookahead": None,
    }  # fmt: skip
    assert config.schedule.factor == 0.1
    assert config.data.name == "digits"


def test_options_of_named_parts_are_kept_apart_from_the_name():
    config = ExperimentConfig.model_validate({**SMALLEST, "model": {"name": "mlp", "width": 64}})
    assert config.model.options == {"width": 64}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"model": "convnet-xs"}, ("aoc", "maxmin")),
        ({"model": "lipconvnet-5"}, ("soc", "maxmin")),
        ({"model": {"name": "pyramid", "patch": 2}}, ("aoc", "beta-abs")),
        ({"model": "pyramid", "activation": "abs"}, ("aoc", "abs")),
        ({"model": "lipconvnet-5", "layer": "cayley"}, ("cayley", "maxmin")),
    ],
)
def test_layers_are_those_of_the_architecture_unless_they_are_named(tree, expected):
    config = ExperimentConfig.model_validate({**SMALLEST, **tree})
    assert (config.layer, config.activation) == expected
    assert ExperimentConfig.model_validate(config.resolved()) == config


def test_radii_may_be_fractions():
    config = ExperimentConfig.model_validate({**SMALLEST, "certify": {"radii": ["36/255", 1]}})
    assert config.certify.radii == (36 / 255, 1.0)


def test_options_of_losses_and_ends_of_their_ramps_may_be_fractions():
    loss = {"name": "emma", "temperature": "1/2", "radius": {"start": "3.6/255", "end": "108/255", "until": 0.5}}
    options = ExperimentConfig.model_validate({**SMALLEST, "loss": loss}).loss.options
    assert options == {"temperature": 0.5, "radius": {"start": 3.6 / 255, "end": 108 / 255, "until": 0.5}}


def test_an_average_of_weights_does_not_go_with_one_of_iterates():
    tree = {**SMALLEST, "optimizer": "schedule-free-adamw", "trainer": {"ema": {}}}
    with pytest.raises(ValidationError, match=r"trainer\.ema does not go with optimizer=schedule-free-adamw"):
        ExperimentConfig.model_validate(tree)


def test_milestones_may_be_fractions():
    schedule = {"name": "step", "milestones": ["1/3", "2/3"]}
    assert ExperimentConfig.model_validate({**SMALLEST, "schedule": schedule}).schedule.milestones == (1 / 3, 2 / 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "0"),
        ("seed", True),
        ("trainer", {"max_epochs": 1.5}),
        ("data", {"batch_size": 0}),
        ("data", {"validation": 1.0}),
        ("certify", {"radii": ["1/0"]}),
        ("certify", {"radii": [-0.5]}),
        ("optimizer", {"name": "adamw", "lr": float("nan")}),
        ("optimizer", {"name": "sgd", "momentum": 0.0, "nesterov": True}),
        ("trainer", {"epochs": 3}),
        ("trainer", {"max_steps": 0}),
        ("schedule", {"name": "step", "milestones": ["3/3"]}),
        ("clipping", {"method": "fastclip", "check_every": 0}),
        ("name", "../elsewhere"),
    ],
)
def test_wrong_types_and_limits_are_refused(key, value):
    with pytest.raises(ValidationError):
        ExperimentConfig.model_validate({**SMALLEST, key: value})


def test_schedule_free_optimizer_refuses_a_schedule():
    tree = {**SMALLEST, "optimizer": "schedule-free-adamw", "schedule": "cosine"}
    with pytest.raises(ValidationError, match="use schedule=constant"):
        ExperimentConfig.model_validate(tree)


def test_resolved_spells_out_every_key_in_plain_types():
    resolved = ExperimentConfig.model_validate(SMALLEST).resolved()
    assert resolved["certify"]["radii"] == [0.25, 0.5, 0.75, 1.0]
    assert resolved["data"]["augment"]["flip"] is False
    assert ExperimentConfig.model_validate(resolved) == ExperimentConfig.model_validate(SMALLEST)
