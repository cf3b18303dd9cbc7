"""The section `start`."""

import pytest

from onelip.experiments import UserError, load_config
from onelip.experiments.config_file import check_config


def test_it_survives_the_file():
    config = load_config("digits", ["start={run: runs/digits/1, weights: last}"])
    assert (config.start.run, config.start.weights) == ("runs/digits/1", "last")
    assert check_config(config.resolved()) == config
    assert load_config("digits-orthonormal-finetune").start.run == "digits-few-steps"


def test_mistakes_are_one_sentence():
    with pytest.raises(UserError, match=r"start\.run is missing"):
        load_config("digits", ["start={weights: last}"])
    with pytest.raises(UserError, match=r"start\.weights='first' in the configuration is not allowed"):
        load_config("digits", ["start={run: a, weights: first}"])
