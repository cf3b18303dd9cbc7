"""Metrics and checkpoints: what is selected, what a resumed run repeats to the last bit."""

from collections.abc import Callable
from dataclasses import dataclass

import lightning.pytorch as pl
import pytest
import torch
from tests.tasks.toy import ToyBatches, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.experiments import RunFolder, UserError
from onelip.experiments.recorder import COLUMNS, Recorder, keep_epochs, read_metrics
from onelip.layers import BjorckLinear
from onelip.tasks import (
    Classification,
    Retract,
    TrainingClock,
    ValidationInterval,
    WeightAverage,
    lookahead,
    manifold_adam,
    muon,
    nadam,
    one_cycle,
    schedule_free_adamw,
    sgd,
)

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")

N_EPOCHS = 4


class Stop(pl.Callback):
    """End the training in the middle of an epoch, as a kill would."""

    def __init__(self, epoch: int):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 2:
            raise SystemError("killed")


def new_folder(path):
    (path / "checkpoints").mkdir(parents=True)
    return RunFolder(path)


class Remembering(nn.Module):
    """A loss whose value depends on the progress and on the batches before."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.progress = 0.0

    def set_progress(self, progress):
        self.progress = progress

    def forward(self, logits, labels):
        loss = cross_entropy((1.0 + self.progress) * logits, labels)
        if self.training:
            self.mean.lerp_(loss.detach(), 0.5)
        return loss * (1.0 + self.mean)


class Ticks(pl.Callback):
    """A second passes in each batch."""

    time = 0.0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.time += 1.0


@dataclass(frozen=True)
class Variant:
    """How a training is done."""

    optimizer: Callable = sgd
    layer: Callable = nn.Linear
    ema: bool = False
    loss: Callable = lambda: cross_entropy
    minutes: float | None = None
    accumulate: int = 1
    validate_every: int = 1


VARIANTS = {
    "sgd": Variant(),
    "schedule-free": Variant(schedule_free_adamw),
    "ema": Variant(lambda lr: lookahead(nadam(lr=lr), k=3), BjorckLinear, ema=True),
    "manifold": Variant(manifold_adam, BjorckLinear, ema=True, accumulate=3),
    "muon": Variant(muon, ema=True),
    "accumulate": Variant(accumulate=3, validate_every=2),
    "loss": Variant(loss=Remembering),
    "time": Variant(loss=Remembering, minutes=14 / 60, validate_every=2),
}
"""All of 14 to 16 batches in four epochs."""


def new_task(variant, clock=None):
    torch.manual_seed(3)
    # Dropout draws from torch's generator, whose state must be restored too.
    model = nn.Sequential(variant.layer(2, 8), nn.ReLU(), nn.Dropout(0.5), variant.layer(8, 2))
    schedule = None if variant.optimizer is schedule_free_adamw else one_cycle()
    optimizer = variant.optimizer(lr=0.1)
    return Classification(model, variant.loss(), optimizer=optimizer, schedule=schedule, radius=0.1, clock=clock)


def fit(folder, variant, *callbacks, resume=False, disturb=False):
    ticks = Ticks()
    clock = TrainingClock(variant.minutes, now=lambda: ticks.time)
    task = new_task(variant, clock)
    if disturb:
        with torch.no_grad():
            task.model[0].weight.zero_()
        torch.rand(7)
    else:
        torch.manual_seed(4)
    interval = ValidationInterval(variant.validate_every)
    n_epochs = N_EPOCHS if variant.minutes is None else -1
    recorder = Recorder(folder, clock=clock)
    ema = [WeightAverage(0.9)] if variant.ema else []
    after = [Retract(), *ema, *callbacks, ticks, clock, interval, recorder]
    trainer = toy_trainer(folder.path, n_epochs, *after, accumulate=variant.accumulate)
    checkpoint = str(folder.last_checkpoint) if resume else None
    trainer.fit(task, ToyBatches(), ToyBatches(), ckpt_path=checkpoint, weights_only=True)
    return task


def without_seconds(folder):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_metrics(folder)]


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def variant(request):
    return request.param


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_last_bit(variant, tmp_path):
    whole, stopped = new_folder(tmp_path / "whole"), new_folder(tmp_path / "stopped")
    fit(whole, variant)
    with pytest.raises(SystemError, match="killed"):
        fit(stopped, variant, Stop(2))
    assert len(read_metrics(stopped)) == 2
    fit(stopped, variant, resume=True, disturb=True)
    assert without_seconds(stopped) == without_seconds(whole)
    assert len(read_metrics(whole)) == N_EPOCHS
    for name in ("last_checkpoint", "best_checkpoint"):
        first, second = (torch.load(getattr(f, name), weights_only=True) for f in (whole, stopped))
        assert first["epoch"] == second["epoch"]
        assert all(torch.equal(first["state_dict"][key], second["state_dict"][key]) for key in first["state_dict"])


@pytest.mark.parametrize("name", ["sgd", "schedule-free", "ema", "manifold"])
def test_the_best_checkpoint_holds_the_evaluation_weights_of_the_best_epoch(name, tmp_path):
    folder = new_folder(tmp_path)
    fit(folder, VARIANTS[name])
    rows = read_metrics(folder)
    best = max(rows, key=lambda row: (row["val_certified_accuracy"], row["val_accuracy"], row["epoch"]))
    checkpoint = torch.load(folder.best_checkpoint, weights_only=True)
    assert checkpoint["epoch"] == best["epoch"]
    task = new_task(VARIANTS[name])
    task.model.load_state_dict(checkpoint["state_dict"])
    with torch.no_grad():
        loss = cross_entropy(task.model.eval()(ToyBatches().x), ToyBatches().y).item()
    assert loss == pytest.approx(best["val_loss"], rel=1e-5)


def test_without_certified_accuracies_the_best_epoch_is_the_most_accurate_one(tmp_path):
    folder = new_folder(tmp_path)
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    task = Classification(model, cross_entropy, optimizer=sgd(lr=2.0), schedule=one_cycle(), radius=None)
    toy_trainer(tmp_path, N_EPOCHS, Recorder(folder)).fit(task, ToyBatches(), ToyBatches())
    rows = read_metrics(folder)
    assert all("val_certified_accuracy" not in row for row in rows)
    best = max(rows, key=lambda row: (row["val_accuracy"], row["epoch"]))
    assert torch.load(folder.best_checkpoint, weights_only=True)["epoch"] == best["epoch"]


def test_the_last_weights_are_kept_on_demand(tmp_path):
    folder, task = new_folder(tmp_path), new_task(Variant())
    torch.manual_seed(4)
    trainer = toy_trainer(tmp_path, N_EPOCHS, Recorder(folder, "last"))
    trainer.fit(task, ToyBatches(), ToyBatches())
    checkpoint = torch.load(folder.best_checkpoint, weights_only=True)
    assert checkpoint["epoch"] == N_EPOCHS - 1
    assert all(torch.equal(value, checkpoint["state_dict"][key]) for key, value in task.model.state_dict().items())


def test_metrics_have_one_row_for_each_epoch_in_the_documented_columns(tmp_path):
    folder = new_folder(tmp_path)
    fit(folder, Variant())
    assert folder.metrics_file.read_text().splitlines()[0] == ",".join(COLUMNS)
    rows = read_metrics(folder)
    assert [row["epoch"] for row in rows] == list(range(N_EPOCHS))
    # Four batches of a second in each.
    assert [row["minutes"] for row in rows] == pytest.approx([4 / 60, 8 / 60, 12 / 60, 16 / 60], abs=1e-5)


def test_epochs_without_validation_leave_its_columns_empty(tmp_path):
    folder = new_folder(tmp_path)
    fit(folder, Variant(validate_every=3))
    assert ["val_accuracy" in row for row in read_metrics(folder)] == [False, False, True, True]
    assert all("train_loss" in row for row in read_metrics(folder))


def test_a_file_with_fewer_columns_keeps_them(tmp_path):
    folder = new_folder(tmp_path)
    folder.metrics_file.write_text("epoch,seconds\n")
    Recorder(folder)._append({"epoch": 0, "seconds": 1.5, "minutes": 2.5})
    assert folder.metrics_file.read_text() == "epoch,seconds\n0,1.5\n"


def test_rows_after_the_checkpoint_and_half_rows_are_cut(tmp_path):
    folder = new_folder(tmp_path)
    folder.metrics_file.write_text("epoch,seconds\n0,1.5\n1,2.5\n2,0.")
    assert read_metrics(folder) == [{"epoch": 0.0, "seconds": 1.5}, {"epoch": 1.0, "seconds": 2.5}]
    assert keep_epochs(folder, 3) == "epoch,seconds\n0,1.5\n1,2.5\n"
    assert keep_epochs(folder, 1) == "epoch,seconds\n0,1.5\n"
    assert folder.metrics_file.read_text() == "epoch,seconds\n0,1.5\n"
    assert keep_epochs(folder, 0) == ""
    assert not folder.metrics_file.exists()
    assert keep_epochs(folder, 1) == ""


def test_a_row_with_other_columns_is_named(tmp_path):
    folder = new_folder(tmp_path)
    folder.metrics_file.write_text("epoch,seconds\n0,1.5\n1,2.52,3.5\n")
    with pytest.raises(UserError, match=r"metrics\.csv: line 3 has 3 values, and there are 2 columns"):
        read_metrics(folder)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_rows_are_those_of_the_checkpoint_whatever_has_become_of_the_file(damage, tmp_path):
    whole, stopped = new_folder(tmp_path / "whole"), new_folder(tmp_path / "stopped")
    fit(whole, Variant())
    with pytest.raises(SystemError, match="killed"):
        fit(stopped, Variant(), Stop(2))
    before = stopped.metrics_file.read_text()
    if damage == "cut":
        stopped.metrics_file.write_text(before[:-7])
    else:
        stopped.metrics_file.unlink()
    fit(stopped, Variant(), resume=True)
    assert stopped.metrics_file.read_text().startswith(before)
    assert without_seconds(stopped) == without_seconds(whole)


def test_no_partial_file_is_left(tmp_path):
    folder = new_folder(tmp_path)
    (tmp_path / "checkpoints" / ".last.ckpt.partial-orphan").touch()
    fit(folder, Variant())
    names = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert names == ["best.ckpt", "last.ckpt", "metrics.csv"]
