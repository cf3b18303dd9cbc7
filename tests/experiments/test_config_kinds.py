"""Which configuration a tree is."""

import pytest

from onelip.experiments import UserError
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_kinds import CONFIGS, config_class


def test_what_says_no_task_is_classification():
    assert config_class({}) is config_class({"task": "classification"}) is ExperimentConfig


def test_each_class_has_its_own_task():
    assert {name: kind.model_fields["task"].default for name, kind in CONFIGS.items()} == {
        name: name for name in CONFIGS
    }


@pytest.mark.parametrize(("task", "sentence"), [("clasification", "did you mean 'classification'"), (3, "task '3'")])
def test_an_unknown_task_is_named(task, sentence):
    with pytest.raises(UserError, match=sentence):
        config_class({"task": task})
