"""The run of a GAN behind an estimate."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from onelip.experiments import UserError, create_run_folder
from onelip.experiments.config_file import load_any_config
from onelip.experiments.config_wasserstein import DataImages, GanSamples
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.training import StoppedError
from onelip.experiments.wasserstein import gan_run
from onelip.experiments.wasserstein.gan_run import with_run

DIGITS = DataImages(name="images", set="digits", dir="somewhere")


@pytest.fixture
def trained(monkeypatch):
    """Configurations that were trained."""
    done = []

    class Experiment:
        def __init__(self, config):
            self.config = config

    def train(experiment, folder):
        done.append(experiment.config)

    def evaluate(experiment, folder):
        (folder.path / "generator.safetensors").touch()
        folder.results_file.write_text("{}")

    monkeypatch.setattr(gan_run, "prepare", Experiment)
    monkeypatch.setattr(gan_run, "train", train)
    monkeypatch.setattr(gan_run, "evaluate", evaluate)
    return done


def test_the_gan_is_trained_once_and_found_again(tmp_path, trained):
    section = GanSamples(name="gan")
    first = with_run(section, DIGITS, str(tmp_path))
    again = with_run(section, DIGITS, str(tmp_path))
    assert first.run == again.run
    assert len(trained) == 1
    assert trained[0].data.dir == "somewhere"


def test_those_who_need_the_same_gan_at_once_train_it_once(tmp_path, trained, monkeypatch):
    train = gan_run.train

    def slow(experiment, folder):
        train(experiment, folder)
        time.sleep(0.2)

    monkeypatch.setattr(gan_run, "train", slow)
    # Threads hold the lock of a file as processes do; a training in a thread would not answer to signals.
    monkeypatch.setattr(gan_run, "resumable", lambda folder, plan: nullcontext())
    with ThreadPoolExecutor(3) as pool:
        found = {s.run for s in pool.map(lambda _: with_run(GanSamples(name="gan"), DIGITS, str(tmp_path)), range(3))}
    assert len(found) == len(trained) == 1


def test_a_run_with_other_settings_is_another_distribution(tmp_path, trained):
    first = with_run(GanSamples(name="gan"), DIGITS, str(tmp_path))
    other = with_run(GanSamples(name="gan", overrides=("critic=wgan-gp",)), DIGITS, str(tmp_path))
    assert first.run != other.run
    assert [config.critic.name for config in trained] == ["lipschitz", "wgan-gp"]


def test_a_later_run_with_other_settings_does_not_hide_it(tmp_path, trained):
    first = with_run(GanSamples(name="gan"), DIGITS, str(tmp_path))
    with_run(GanSamples(name="gan", overrides=("critic=wgan-gp",)), DIGITS, str(tmp_path))
    # One with its settings that was begun later, and is not finished, does not either.
    create_run_folder(load_any_config("gan-digits", [f"runs_dir={tmp_path}"]))
    assert with_run(GanSamples(name="gan"), DIGITS, str(tmp_path)).run == first.run
    assert len(trained) == 2


def test_a_run_that_is_not_finished_goes_on(tmp_path, trained):
    folder = create_run_folder(load_any_config("gan-digits", [f"runs_dir={tmp_path}"]))
    found = with_run(GanSamples(name="gan"), DIGITS, str(tmp_path))
    assert found.run == str(folder.path)
    assert len(trained) == 1


def test_a_training_that_is_stopped_says_how_to_go_on(tmp_path, trained, monkeypatch):
    def stop(experiment, folder):
        raise StoppedError(2)

    monkeypatch.setattr(gan_run, "train", stop)
    with pytest.raises(CommandFailedError, match=r"continue with: onelip train --resume .*gan-digits"):
        with_run(GanSamples(name="gan"), DIGITS, str(tmp_path))


def test_what_has_its_run_or_is_no_gan_stays(tmp_path, trained):
    named = GanSamples(name="gan", run="runs/x")
    assert with_run(named, DIGITS, str(tmp_path)) is named
    assert with_run(DIGITS, named, str(tmp_path)) is DIGITS
    assert trained == []


def test_a_configuration_of_another_task_is_refused(tmp_path):
    with pytest.raises(UserError, match="digits has task=classification, and a distribution of name=gan needs"):
        with_run(GanSamples(name="gan", config="digits"), DIGITS, str(tmp_path))
