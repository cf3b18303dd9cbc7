"""Metrics and checkpoints: what is selected, what a resumed run repeats to the last bit."""

import lightning.pytorch as pl
import pytest
import torch
from tests.tasks.toy import ToyBatches, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.experiments import RunFolder
from onelip.experiments.recorder import COLUMNS, Recorder, keep_epochs, read_metrics
from onelip.tasks import Classification, Retract, one_cycle, schedule_free_adamw, sgd

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


def new_task(optimizer):
    torch.manual_seed(3)
    # Dropout draws from torch's generator, whose state must be restored too.
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    schedule = None if optimizer is schedule_free_adamw else one_cycle()
    return Classification(model, cross_entropy, optimizer=optimizer(lr=0.1), schedule=schedule, radius=0.1)


def fit(folder, task, *callbacks, resume=False):
    torch.manual_seed(4)
    trainer = toy_trainer(folder.path, N_EPOCHS, Retract(), *callbacks, Recorder(folder))
    checkpoint = str(folder.last_checkpoint) if resume else None
    trainer.fit(task, ToyBatches(), ToyBatches(), ckpt_path=checkpoint, weights_only=True)


def without_seconds(folder):
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "minutes")} for row in read_metrics(folder)
    ]


@pytest.fixture(params=[sgd, schedule_free_adamw], ids=["sgd", "schedule-free"])
def optimizer(request):
    return request.param


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_last_bit(optimizer, tmp_path):
    whole, stopped = new_folder(tmp_path / "whole"), new_folder(tmp_path / "stopped")
    fit(whole, new_task(optimizer))
    with pytest.raises(SystemError, match="killed"):
        fit(stopped, new_task(optimizer), Stop(2))
    assert len(read_metrics(stopped)) == 2
    resumed = new_task(optimizer)
    with torch.no_grad():
        resumed.model[0].weight.zero_()
    torch.rand(7)
    fit(stopped, resumed, resume=True)
    assert without_seconds(stopped) == without_seconds(whole)
    for name in ("last_checkpoint", "best_checkpoint"):
        first, second = (torch.load(getattr(f, name), weights_only=True) for f in (whole, stopped))
        assert first["epoch"] == second["epoch"]
        assert all(torch.equal(first["state_dict"][key], second["state_dict"][key]) for key in first["state_dict"])


def test_the_best_checkpoint_holds_the_evaluation_weights_of_the_best_epoch(optimizer, tmp_path):
    folder, task = new_folder(tmp_path), new_task(optimizer)
    fit(folder, task)
    rows = read_metrics(folder)
    best = max(rows, key=lambda row: (row["val_certified_accuracy"], row["val_accuracy"], row["epoch"]))
    checkpoint = torch.load(folder.best_checkpoint, weights_only=True)
    assert checkpoint["epoch"] == best["epoch"]
    task.model.load_state_dict(checkpoint["state_dict"])
    with torch.no_grad():
        loss = cross_entropy(task.model.eval()(ToyBatches().x), ToyBatches().y).item()
    assert loss == pytest.approx(best["val_loss"], rel=1e-5)


def test_without_certified_accuracies_the_best_epoch_is_the_most_accurate_one(tmp_path):
    folder = new_folder(tmp_path)
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    fit(folder, Classification(model, cross_entropy, optimizer=sgd(lr=2.0), schedule=one_cycle(), radius=None))
    rows = read_metrics(folder)
    assert all("val_certified_accuracy" not in row for row in rows)
    best = max(rows, key=lambda row: (row["val_accuracy"], row["epoch"]))
    assert torch.load(folder.best_checkpoint, weights_only=True)["epoch"] == best["epoch"]


def test_the_last_weights_are_kept_on_demand(tmp_path):
    folder, task = new_folder(tmp_path), new_task(sgd)
    torch.manual_seed(4)
    trainer = toy_trainer(tmp_path, N_EPOCHS, Recorder(folder, "last"))
    trainer.fit(task, ToyBatches(), ToyBatches())
    checkpoint = torch.load(folder.best_checkpoint, weights_only=True)
    assert checkpoint["epoch"] == N_EPOCHS - 1
    assert all(torch.equal(value, checkpoint["state_dict"][key]) for key, value in task.model.state_dict().items())


def test_metrics_have_one_row_for_each_epoch_in_the_documented_columns(tmp_path):
    folder = new_folder(tmp_path)
    fit(folder, new_task(sgd))
    assert folder.metrics_file.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert [row["epoch"] for row in read_metrics(folder)] == list(range(N_EPOCHS))


def test_rows_after_the_checkpoint_and_half_rows_are_cut(tmp_path):
    folder = new_folder(tmp_path)
    folder.metrics_file.write_text("epoch,seconds\n0,1.5\n1,2.5\n2,0.")
    assert read_metrics(folder) == [{"epoch": 0.0, "seconds": 1.5}, {"epoch": 1.0, "seconds": 2.5}]
    keep_epochs(folder, 1)
    assert folder.metrics_file.read_text() == "epoch,seconds\n0,1.5\n"
    keep_epochs(folder, 0)
    assert not folder.metrics_file.exists()


def test_no_partial_file_is_left(tmp_path):
    folder = new_folder(tmp_path)
    (tmp_path / "checkpoints" / ".last.ckpt.partial-orphan").touch()
    fit(folder, new_task(sgd))
    names = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert names == ["best.ckpt", "last.ckpt", "metrics.csv"]
