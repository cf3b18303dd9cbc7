"""Configurations of estimates of Wasserstein distances."""

import pytest

from onelip.experiments import UserError
from onelip.experiments.config_file import dump_config, load_any_config, load_config
from onelip.experiments.config_wasserstein import WassersteinConfig

NAME = "wasserstein-absolute-value"


def test_it_is_read_back_as_it_was_written(tmp_path):
    config = load_any_config(NAME, ["q={name: translated, vector: [2]}", "evaluation.level=0.9"])
    assert isinstance(config, WassersteinConfig)
    file = tmp_path / "copy.yaml"
    file.write_text(dump_config(config))
    assert load_any_config(str(file)) == config


def test_another_distribution_drops_the_options_of_the_first():
    config = load_any_config(NAME, ["p=gaussian", "p.mean=[1, 2]"])
    assert config.p.model_dump() == {"name": "gaussian", "mean": (1.0, 2.0), "std": (1.0,)}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("p.radius=-1", "p.radius=-1 .* not allowed"),
        ("p.radios=1", "did you mean 'p.radius'"),
        ("p=shell", "did you mean 'shells'"),
        ("batch_size=0", "batch_size=0"),
        ("trainer.max_step=3", "did you mean 'trainer.max_steps'"),
        ("optimizer=schedule-free-adamw", "schedule-free-adamw is not for task=wasserstein"),
        ("loss=emma", "configuration key 'loss' is unknown"),
    ],
)
def test_a_mistake_is_one_sentence(override, sentence):
    with pytest.raises(UserError, match=sentence):
        load_any_config(NAME, [override])


def test_two_translated_distributions_are_refused():
    moved = "{name: translated, vector: [1]}"
    with pytest.raises(UserError, match="both translated"):
        load_any_config(NAME, [f"p={moved}", f"q={moved}"])


def test_what_is_for_classifiers_says_so():
    with pytest.raises(UserError, match=f"{NAME} has task=wasserstein, and this is for task=classification only"):
        load_config(NAME)
