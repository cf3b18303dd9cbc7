"""Every shipped configuration of a task that draws its own samples builds, takes its steps and is measured.

As in test_every_config.py: two steps of small networks on made-up images of the right shape, everything else as the
configuration says, through the functions that `onelip train` calls.
"""

from __future__ import annotations

import json
import math

import pytest
from tests.configs.reduced import SMALL, images_like

from onelip.experiments import available_configs, commands, latest_run
from onelip.experiments.config_common import SampledConfig
from onelip.experiments.config_file import load_any_config

NAMES = tuple(name for name in available_configs() if isinstance(load_any_config(name), SampledConfig))
STEPS = ["trainer.max_steps=2", "trainer.validate_every=2", "trainer.accelerator=cpu", "trainer.threads=1"]
MEASURES = ["evaluation.n_samples=4", "evaluation.batch_size=4", "evaluation.n_monitor=4", "evaluation.n_discrete=4"]
SMALL_GAN = [
    *STEPS, "data.batch_size=4", "critic_steps=1", "evaluate.n_images=4", "evaluate.n_features=2", "evaluate.n_shown=4",
    "evaluate.n_statistics=4",
]  # fmt: skip


@pytest.fixture
def made_up(monkeypatch) -> None:
    monkeypatch.setattr("onelip.data.load", lambda name, *_, **__: images_like(name))
    monkeypatch.setattr("onelip.bounds.segments.LARGEST", 0.0)


def small(name: str, section: str) -> list[str]:
    return [f"{section}.{key}={json.dumps(value)}" for key, value in SMALL[name].items()]


def test_both_tasks_have_some():
    assert {load_any_config(name).task for name in NAMES} == {"wasserstein", "gan"}


@pytest.mark.parametrize("name", [name for name in NAMES if load_any_config(name).task == "wasserstein"])
def test_a_distance_is_bounded(name, tmp_path, made_up):
    config = load_any_config(name)
    gan = [part for part in ("p", "q") if getattr(config, part).name == "gan"]
    changes = [*STEPS, *MEASURES, "batch_size=4", f"runs_dir={tmp_path}", *small(config.model.name, "model")]
    changes += [f"{part}.overrides={json.dumps(gan_changes(getattr(config, part).config))}" for part in gan]
    # Made-up images are of the first and the last class.
    changes += [f"{part}.classes=[0]" for part in ("p", "q") if getattr(getattr(config, part), "classes", None)]
    commands.train(name, changes, resume=False)
    results = json.loads(latest_run(name, tmp_path).results_file.read_text("utf-8"))
    assert results["lipschitz_bound"]["proved"]
    assert math.isfinite(results["difference"])
    assert results["discrete"]["lower_bound"] <= results["discrete"]["exact"]
    assert bool(gan) == bool(list(tmp_path.glob("gan-*/*/generator.safetensors")))


GANS = [(name, "lipschitz") for name in NAMES if load_any_config(name).task == "gan"]
GANS += [("gan-digits", "wgan"), ("gan-digits", "wgan-gp")]


@pytest.mark.parametrize(("name", "critic"), GANS)
def test_a_gan_is_trained(name, critic, tmp_path, made_up):
    commands.train(name, [f"critic={critic}", *gan_changes(name), f"runs_dir={tmp_path}"], resume=False)
    folder = latest_run(name, tmp_path)
    assert (folder.path / "generator.safetensors").is_file()
    results = json.loads(folder.results_file.read_text("utf-8"))
    assert results["name"] == name


def gan_changes(name: str) -> list[str]:
    config = load_any_config(name)
    model = config.critic.model.name
    return [
        *SMALL_GAN,
        f"critic.model.name={model}",
        *small(model, "critic.model"),
        *small_generator(config.generator.name),
    ]


def small_generator(name: str) -> list[str]:
    sizes = {"infogan": ["generator.dense=8", "generator.width=4"], "dcgan": ["generator.width=4"]}
    return sizes.get(name, [])
