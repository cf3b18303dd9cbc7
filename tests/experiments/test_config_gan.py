"""Configurations of GANs: sections chosen by name, shipped files, mistakes."""

import pytest
from tests.configs.reduced import SHAPES

from onelip.experiments import UserError
from onelip.experiments.config_file import load_any_config
from onelip.experiments.config_gan import WGAN, WGANGP, GanConfig, Lipschitz
from onelip.experiments.config_source import config_families

NAMES = config_families()["gan"]


def load(name="gan-digits", *overrides):
    config = load_any_config(name, overrides)
    assert isinstance(config, GanConfig)
    return config


def test_every_data_set_has_its_file():
    of = {load(name).data.name for name in NAMES}
    assert of == {"digits", "mnist", "fashion-mnist", "cifar10", "svhn", "stl10", "folder-stream"}
    assert of - {"folder-stream"} <= {*SHAPES, "fashion-mnist", "svhn", "stl10"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("critic", "kind"), [("lipschitz", Lipschitz), ("wgan", WGAN), ("wgan-gp", WGANGP)])
def test_every_file_runs_with_every_kind(name, critic, kind):
    usual, config = load(name), load(name, f"critic={critic}")
    assert type(config.critic) is kind
    assert config.critic.model == usual.critic.model
    assert usual.critic.name == "lipschitz"
    if critic == "lipschitz":
        assert config == usual
    assert usual.optimizer.betas == config.critic.optimizer.betas == (0.5, 0.999)


def test_options_of_a_kind_are_its_own():
    assert load("gan-digits", "critic=wgan", "critic.clip=0.1").critic.clip == 0.1
    assert load("gan-digits", "critic={name: wgan-gp, weight: 50}").critic.weight == 50
    chosen = load("gan-digits", "critic.layer=aoc", "critic.activation=fullsort").critic
    assert (chosen.layer, chosen.activation) == ("aoc", "fullsort")
    changed = load("gan-digits", "critic.optimizer={name: sgd, lr: 1e-2}").critic.optimizer
    assert (changed.name, changed.lr) == ("sgd", 0.01)


def test_single_keys_of_an_optimizer_change_the_kinds_own():
    config = load("gan-mnist", "critic.optimizer.lr=0.5", "optimizer.eps=1e-3")
    critic, generator = config.critic.optimizer, config.optimizer
    assert (critic.name, critic.lr, critic.betas) == ("adam", 0.5, (0.5, 0.999))
    assert (generator.lr, generator.eps, generator.betas) == (2e-4, 1e-3, (0.5, 0.999))
    assert load("gan-mnist", "optimizer=adam") == load("gan-mnist")
    assert load("gan-mnist", "critic=wgan", "critic.optimizer.eps=1e-3").critic.optimizer.lr == 2e-4


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["critic=wgam"], "critic 'wgam' is unknown; did you mean 'wgan'"),
        (["critic.clip=0.1"], "'critic.clip' does not belong to this critic, whose keys are model, name, layer"),
        (["critic.layer=plain"], "critic.layer=plain is not 1-Lipschitz; use critic=wgan"),
        (["critic={name: wgan, clip: 0}"], r"critic.clip=0 in the configuration is not allowed"),
        (["data.batch_size=1"], "data.batch_size=1"),
        (["average=1.0"], "average=1.0"),
        (["optimizer=schedule-free-adamw"], "optimizer=schedule-free-adamw does not go with task=gan"),
        (["critic.optimizer=schedule-free-adamw"], "critic.optimizer=schedule-free-adamw does not"),
        (["certify.radii=[1]"], "configuration key 'certify' is unknown"),
    ],
)
def test_mistakes_are_one_sentence(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        load("gan-digits", *overrides)
