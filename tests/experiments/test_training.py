"""Trainings that are stopped, and trainings that diverge."""

import copy
import dataclasses
import itertools
import signal

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint
from tests.data.pictures import write_noise
from torch import nn

from onelip.experiments import UserError, create_run_folder, load_config
from onelip.experiments.checkpoints import read_checkpoint
from onelip.experiments.config_optimizer import Step
from onelip.experiments.config_trainer import Trainer
from onelip.experiments.evaluation import certify_best, evenly
from onelip.experiments.preparation import Experiment, prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import StoppedError, shortened, train
from onelip.tasks import NonFiniteLossError, TrainingClock


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    small = ["trainer.threads=1", "trainer.max_epochs=3", "model.widths=[16]", "layer=plain"]
    return prepare(load_config("digits", [f"runs_dir={tmp_path}", *small]))


def test_images_on_disk_train_as_those_in_memory_do(tmp_path):
    for part, n in (("train", 6), ("val", 2)):
        for name in ("ant", "bee", "cow"):
            for i in range(n):
                write_noise(tmp_path / part / name / f"{i}.png", (9 + i, 12 - i), seed=i + 10 * ord(name[0]))
    streamed = "data.options={size: 8, resize: 8, threads: 2}"
    changes = ["data.name=folder-stream", f"data.dir={tmp_path}", streamed, "data.batch_size=4", "data.validation=0.3"]
    small = ["trainer.threads=1", "trainer.max_epochs=2", "model.widths=[16]", "layer=plain", f"runs_dir={tmp_path}"]
    from_disk = prepare(load_config("digits", [*changes, *small]))
    weights = copy.deepcopy(from_disk.model)
    parts = {"train": from_disk.train.in_memory(), "validation": from_disk.validation.in_memory()}
    from_memory = dataclasses.replace(from_disk, model=weights, **parts)
    for experiment in (from_disk, from_memory):
        train(experiment, create_run_folder(experiment.config))
    after, expected = from_disk.model.state_dict(), from_memory.model.state_dict()
    assert all(torch.equal(after[name], expected[name]) for name in expected)
    assert evenly(from_disk.data.test, 2).images.shape == (2, 3, 8, 8)


class SignalAt(nn.Module):
    """A loss that sends a signal to its own process at one of its calls."""

    def __init__(self, number: int, call: int):
        super().__init__()
        self.number, self.call, self.calls = number, call, 0

    def forward(self, logits, labels):
        self.calls += 1
        if self.calls == self.call:
            signal.raise_signal(self.number)
        return nn.functional.cross_entropy(logits, labels)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_training_with_whole_checkpoints_and_old_handlers(number, experiment):
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    folder = create_run_folder(experiment.config)
    n_calls = 11 + 1 + 5  # the middle of the second epoch, after eleven batches and one of validation
    with pytest.raises(StoppedError) as caught:
        train(dataclasses.replace(experiment, loss=SignalAt(number, n_calls)), folder)
    assert caught.value.number == number
    assert {n: signal.getsignal(n) for n in before} == before
    assert len(read_metrics(folder)) == 1
    assert "state_dict" in read_checkpoint(folder.last_checkpoint)


def test_what_comes_after_a_training_may_take_faster_algorithms_again(experiment):
    inside = []
    callback = pl.Callback()
    callback.on_train_start = lambda *_: inside.append(torch.are_deterministic_algorithms_enabled())
    train(experiment, create_run_folder(experiment.config), callbacks=[callback])
    assert inside == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_loss_that_is_not_finite_stops_the_training(experiment):
    with torch.no_grad():
        experiment.model.network.head.weight.fill_(float("nan"))
    folder = create_run_folder(experiment.config)
    with pytest.raises(NonFiniteLossError, match="epoch 0, batch 0"):
        train(experiment, folder)
    assert not folder.last_checkpoint.exists()


def test_the_clip_of_the_gradient_reaches_the_optimizer(experiment, monkeypatch):
    norms = []

    def note(parameters, max_norm, *_, **__):
        norms.append(max_norm)
        return torch.zeros(())

    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", note)
    trainer = experiment.config.trainer.model_copy(update={"gradient_clip": 0.5, "max_epochs": 1})
    config = experiment.config.model_copy(update={"trainer": trainer})
    train(dataclasses.replace(experiment, config=config), create_run_folder(config))
    assert set(norms) == {0.5}


@pytest.mark.parametrize(
    ("max_steps", "accumulate", "expected"),
    [
        (None, 1, (3, 11)), (1000, 1, (3, 11)), (33, 1, (3, 11)), (20, 1, (2, 10)), (11, 1, (1, 11)), (1, 1, (1, 1)),
        (None, 4, (3, 11)), (9, 4, (3, 11)), (8, 4, (3, 8)), (3, 4, (1, 11)), (1, 4, (1, 4)),
    ],
)  # fmt: skip
def test_a_training_is_cut_to_epochs_that_are_alike(max_steps, accumulate, expected, experiment):
    section = experiment.config.trainer.model_copy(update={"max_steps": max_steps, "accumulate": accumulate})
    n_epochs, n_batches = shortened(section, 11)
    assert (n_epochs, n_batches) == expected
    assert max_steps is None or n_epochs * -(-n_batches // accumulate) <= max_steps


def test_a_training_by_time_ends_with_it_and_is_not_resumed(experiment, monkeypatch):
    seconds = itertools.count()
    clocks = []

    def clock(minutes):
        clocks.append(TrainingClock(minutes, now=lambda: float(next(seconds))))
        return clocks[-1]

    monkeypatch.setattr("onelip.experiments.training.TrainingClock", clock)
    trainer = Trainer(max_minutes=2.0, threads=1, validate_every=2, accumulate=2)
    config = experiment.config.model_copy(update={"trainer": trainer})
    folder = create_run_folder(config)
    train(dataclasses.replace(experiment, config=config), folder)
    rows = read_metrics(folder)
    assert rows[-1]["minutes"] >= 2.0 > rows[-2]["minutes"] > 0
    assert "val_accuracy" in rows[-1]
    assert folder.best_checkpoint.exists()
    before = folder.last_checkpoint.stat().st_mtime_ns
    train(dataclasses.replace(experiment, config=config), folder, resume=True)
    assert clocks[-1].progress == 1.0
    assert folder.last_checkpoint.stat().st_mtime_ns == before


def test_the_options_of_the_trainer_reach_the_task(experiment, monkeypatch):
    seen = {}

    def note(*_, **options):
        seen.update(options)
        raise StoppedError(0)

    monkeypatch.setattr("onelip.experiments.training.Classification", note)
    for channels_last, mirror in ((False, False), (True, True)):
        trainer = experiment.config.trainer.model_copy(update={"channels_last": channels_last})
        certify = experiment.config.certify.model_copy(update={"mirror_average": mirror})
        config = experiment.config.model_copy(update={"trainer": trainer, "certify": certify})
        with pytest.raises(StoppedError):
            train(dataclasses.replace(experiment, config=config), create_run_folder(config))
        assert (seen["channels_last"], seen["mirror_average"]) == (channels_last, mirror)


def test_a_shortened_training_takes_its_steps_and_ends_its_schedule(experiment):
    trainer = experiment.config.trainer.model_copy(update={"max_steps": 5})
    schedule = Step(name="step", milestones=(0.5,), factor=0.01)
    config = experiment.config.model_copy(update={"trainer": trainer, "schedule": schedule})
    folder = create_run_folder(config)
    train(dataclasses.replace(experiment, config=config), folder)
    assert read_checkpoint(folder.last_checkpoint)["global_step"] == 5
    (row,) = read_metrics(folder)
    assert row["learning_rate"] == pytest.approx(0.01 * config.optimizer.lr)


def test_a_growing_network_is_trained_and_certified_whole(tmp_path):
    small = [f"model.{value}" for value in ("name=pyramid", "patch=1", "widths=[8]", "depths=[3]", "dense=[8]")]
    steps = ["trainer.threads=1", "trainer.max_epochs=4", "trainer.max_steps=8", "trainer.growth=[0.3, 0.6]"]
    own = ["model.head=null", "layer=aoc", "activation=beta-abs", "optimizer={name: adam}", f"runs_dir={tmp_path}"]
    experiment = prepare(load_config("digits", [*small, *steps, *own]))
    before = {name: value.clone() for name, value in experiment.model.state_dict().items()}
    folder = create_run_folder(experiment.config)
    train(experiment, folder)
    after = experiment.model.state_dict()
    assert not any(torch.equal(after[name], value) for name, value in before.items() if "conv" in name)
    with torch.no_grad():
        learned = experiment.model(experiment.data.test.pixels(slice(0, 64)))
    evaluation = certify_best(experiment, folder)
    with torch.no_grad():
        plain = evaluation.network(experiment.data.test.pixels(slice(0, 64)))
    assert torch.allclose(learned, plain, atol=1e-4)
    assert evaluation.certificate.bound.value <= 1 + 1e-3


def test_a_network_that_cannot_grow_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="growth needs a network with convolutions that begin at the identity"):
        prepare(load_config("digits", ["trainer.growth=[0.5]", f"runs_dir={tmp_path}"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ema", ["null", "{decay: 0.5, warmup: false}"])
def test_without_validation_all_images_are_learned_and_the_last_weights_kept(ema, tmp_path):
    small = ["trainer.threads=1", "trainer.max_epochs=2", "model.widths=[16]", "layer=plain", f"runs_dir={tmp_path}"]
    experiment = prepare(load_config("digits", [*small, "data.validation=0", f"trainer.ema={ema}"]))
    assert len(experiment.train) == len(experiment.data.train)
    folder = create_run_folder(experiment.config)
    train(experiment, folder)
    rows = read_metrics(folder)
    assert [row["epoch"] for row in rows] == [0, 1]
    assert not any(column.startswith("val") for row in rows for column in row)
    best, last = read_checkpoint(folder.best_checkpoint), read_checkpoint(folder.last_checkpoint)
    assert best["epoch"] == 1
    assert all(torch.equal(last["state_dict"][f"model.{name}"], value) for name, value in best["state_dict"].items())


def test_without_validation_weights_cannot_be_chosen(tmp_path):
    for change in ("certify.weights=best", "certify=null"):
        with pytest.raises(UserError, match=r"data\.validation=0 holds no images out to choose weights by"):
            load_config("digits", ["data.validation=0", change])


class RowsSeen(pl.Callback):
    """How many rows there are whenever an epoch ends."""

    def __init__(self, folder):
        self.folder, self.rows = folder, []

    def on_train_epoch_end(self, trainer, pl_module):
        self.rows.append(len(read_metrics(self.folder)) if self.folder.metrics_file.exists() else 0)


class RowsSeenAfter(RowsSeen, Checkpoint):
    pass


def test_callbacks_come_before_an_epoch_is_recorded_and_checkpoints_after_it(experiment):
    folder = create_run_folder(experiment.config)
    before, after = RowsSeen(folder), RowsSeenAfter(folder)
    train(experiment, folder, callbacks=[after, before])
    assert (before.rows, after.rows) == ([0, 1, 2], [1, 2, 3])
