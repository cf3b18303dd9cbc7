"""What all configurations share."""

import pytest
from pydantic import ValidationError

from onelip.experiments.config_common import SampledConfig, StepTrainer, as_published


def test_resolved_is_plain_and_reads_back():
    config = SampledConfig(task="toy", trainer=StepTrainer(max_steps=6, validate_every=3))
    assert config.resolved()["trainer"]["max_steps"] == 6
    assert SampledConfig.model_validate(config.resolved()) == config


def test_steps_fill_whole_parts():
    assert StepTrainer(max_steps=5, validate_every=10).max_steps == 5
    with pytest.raises(ValidationError, match=r"trainer.max_steps=7 must be a multiple of trainer.validate_every=2"):
        StepTrainer(max_steps=7, validate_every=2)


def test_layer_and_activation_are_the_published_ones_unless_named():
    tree = as_published({"model": "mlp", "activation": "relu"})
    assert tree["activation"] == "relu"
    assert tree["layer"] == as_published({"model": {"name": "mlp"}})["layer"]
    assert as_published({"model": "no-such"}) == {"model": "no-such"}
    assert as_published(3) == 3
