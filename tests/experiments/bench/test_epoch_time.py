import dataclasses

import pytest
import torch

from onelip.experiments import UserError, load_config
from onelip.experiments.bench import epoch_time, stopwatch
from onelip.experiments.bench.epoch_time import EpochTime, measure_epoch
from onelip.experiments.config_file import load_any_config
from onelip.experiments.config_wasserstein import GanSamples

SMALL = ["trainer.threads=1", "data.validation=0.1", "model.widths=[16]", "layer=plain", "certify=null", "attack=null"]
N_TRAIN, N_VALIDATION = 1293, 145
"""Images of the digits that are learned and held out so."""


def test_an_epoch_takes_its_steps_its_record_and_its_share_of_a_validation():
    time = EpochTime(0.5, 100, 2.0, 9.0, 3, "a machine", made_up=False)
    assert time.seconds == 55.0
    assert time.epochs_within(55.0) == 1
    assert time.epochs_within(164.9) == 2
    with pytest.raises(ValueError, match=r"one epoch takes 55 seconds, longer than the budget of 54\.9"):
        time.epochs_within(54.9)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(epoch_time.tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == [], "something was left behind"


def test_steps_and_batches_of_an_epoch_are_counted_as_a_training_takes_them(temporary):
    torch.manual_seed(5)
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    config = load_config("digits", [*SMALL, "trainer.accumulate=2", "data.batch_size=100", "trainer.max_steps=3"])
    time = measure_epoch(config, steps=8, warm_up=1)
    assert time.steps_per_epoch == -(-N_TRAIN // 200)
    assert time.validate_every == config.trainer.validate_every
    assert not time.made_up
    assert 0.0 < time.seconds_per_step < 60.0
    assert 0.0 < time.recording_seconds < 60.0
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert "torch" in time.machine


def test_batches_that_were_not_validated_count_as_the_second_one(temporary, monkeypatch):
    found = []
    monkeypatch.setattr(
        epoch_time,
        "train",
        lambda experiment, folder, callbacks: found.append((experiment, folder)) or _filled(callbacks[0]),
    )
    config = load_config(
        "digits", [*SMALL, "data.eval_batch_size=32", "trainer.max_epochs=null", "trainer.max_minutes=1"]
    )
    time = measure_epoch(config, steps=7, warm_up=4)
    ((experiment, folder),) = found
    assert len(experiment.validation) == 2 * 32
    assert time.validation_seconds == pytest.approx(5.0 + 3.0 + 3.0 * (N_VALIDATION - 64) / 32)
    assert time.seconds_per_step == 0.5
    assert time.recording_seconds == 0.25
    trainer = experiment.config.trainer
    assert trainer.max_minutes is None
    # So that the learning rate stays where it begins.
    assert trainer.max_epochs * time.steps_per_epoch >= 1000 * 11
    assert not folder.path.exists()


def _filled(watch):
    watch._steps, watch.validation, watch.end = [9.0] * 4 + [0.5], [5.0, 3.0], 0.25


def test_data_that_is_not_here_is_made_up_or_named(temporary, monkeypatch):
    seen = []
    monkeypatch.setattr(
        epoch_time, "train", lambda experiment, folder, callbacks: seen.append(experiment) or _filled(callbacks[0])
    )
    config = load_config("digits", [*SMALL, "data.name=mnist", "data.dir=nowhere", "data.validation=0.5"])
    assert measure_epoch(config).made_up
    assert len(seen[0].train) == 30_000
    assert len(seen[0].data.test) == 10_000
    with pytest.raises(UserError, match="nowhere"):
        measure_epoch(config, made_up=False)
    with pytest.raises(UserError, match="data set idx"):
        measure_epoch(load_config("digits", [*SMALL, "data.name=idx", "data.dir=nowhere"]))


def test_layers_that_grow_are_there_from_the_start(temporary, monkeypatch):
    seen = []
    monkeypatch.setattr(
        epoch_time, "train", lambda experiment, folder, callbacks: seen.append(experiment) or _filled(callbacks[0])
    )
    config = load_config("digits", ["trainer.threads=1"])
    config = config.model_copy(update={"trainer": config.trainer.model_copy(update={"growth": (0.5,)})})
    monkeypatch.setattr("onelip.experiments.preparation.check_growth", lambda model: None)
    measure_epoch(config)
    assert seen[0].config.trainer.growth is None


def test_no_validation_takes_no_time(temporary):
    config = load_config(
        "digits", ["trainer.threads=1", "model.widths=[16]", "data.validation=0", "certify.weights=last"]
    )
    time = measure_epoch(config, steps=1, warm_up=0)
    assert time.validation_seconds == 0.0


def test_several_processes_are_refused(temporary):
    with pytest.raises(UserError, match=r"devices=2 and trainer\.num_nodes=1 ask for several"):
        measure_epoch(load_config("digits", [*SMALL, "trainer.devices=2"]))


@pytest.mark.parametrize(("name", "changes"), [("wasserstein-cones", []), ("gan-digits", ["trainer.max_steps=7"])])
def test_an_epoch_of_a_task_that_draws_its_samples_is_the_part_between_two_checkpoints(name, changes, temporary):
    config = load_any_config(name, [*changes, "trainer.threads=1"])
    time = measure_epoch(config, steps=3, warm_up=1, max_seconds=5.0)
    assert time.steps_per_epoch == min(config.trainer.validate_every, config.trainer.max_steps)
    assert time.validation_seconds == 0.0
    assert time.seconds > 3 * time.seconds_per_step


def test_a_gan_is_not_trained_to_measure_a_distance(temporary):
    config = load_any_config("wasserstein-cones", [])
    section = GanSamples.model_construct(name="gan", run=None)
    with pytest.raises(UserError, match=r"q\.run is null"):
        measure_epoch(config.model_copy(update={"q": section}))


def test_other_objects_are_no_configuration():
    with pytest.raises(TypeError, match="EpochTime is the configuration of no task"):
        measure_epoch(EpochTime(*[1.0] * 5, "", made_up=False))


def test_the_watch_synchronises_a_gpu(monkeypatch):
    called = []
    monkeypatch.setattr(torch.cuda, "synchronize", called.append)
    stopwatch.synchronised(torch.device("cuda", 0))
    assert called == [torch.device("cuda", 0)]


def test_all_fields_are_documented():
    documented = EpochTime.__doc__
    assert all(f"{field.name}:" in documented for field in dataclasses.fields(EpochTime))
