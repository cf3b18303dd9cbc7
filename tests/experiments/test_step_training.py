"""Trainings on samples that are drawn at each step."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from onelip.experiments import create_run_folder
from onelip.experiments.config_common import SampledConfig, StepTrainer
from onelip.experiments.recorder import read_metrics
from onelip.experiments.step_training import train_on_samples
from onelip.experiments.training import StoppedError
from onelip.transport import sample_generator


class Mean(pl.LightningModule):
    """Learns the mean of what it draws."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(2))
        self.metrics: dict[str, float] = {}
        self._stop_at = stop_at

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.04)

    def training_step(self, batch, batch_idx):
        if int(batch) == self._stop_at:
            raise KeyboardInterrupt
        drawn = torch.rand(8, 2, generator=sample_generator(3, 0, int(batch)))
        return (drawn - self.mean).square().mean()

    def on_train_epoch_end(self):
        self.metrics = {"distance": float((self.mean.detach() - 0.5).norm())}


def start(tmp_path, name="toy"):
    trainer = StepTrainer(max_steps=12, validate_every=4, accelerator="cpu")
    config = SampledConfig(task="toy", name=name, runs_dir=str(tmp_path), trainer=trainer)
    return config, create_run_folder(config)


def test_rows_are_written_and_an_interrupted_training_ends_with_the_same_numbers(tmp_path):
    whole, cut = start(tmp_path), start(tmp_path)
    straight, resumed = Mean(), Mean()
    train_on_samples(straight, *whole, columns=("distance",))
    with pytest.raises(StoppedError):
        train_on_samples(Mean(stop_at=6), *cut, columns=("distance",))
    assert len(read_metrics(cut[1])) == 1
    train_on_samples(resumed, *cut, columns=("distance",))
    assert torch.equal(straight.mean, resumed.mean)
    rows = [[row["distance"] for row in read_metrics(folder)] for _, folder in (whole, cut)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 3
    assert rows[0][-1] < rows[0][0]
    assert all(row["seconds"] < 60 for row in read_metrics(cut[1]))


class RowsSeen(pl.Callback):
    """How many rows there are whenever a part ends."""

    def __init__(self, folder):
        self.folder, self.rows = folder, []

    def on_train_epoch_end(self, trainer, pl_module):
        self.rows.append(len(read_metrics(self.folder)) if self.folder.metrics_file.exists() else 0)


class RowsSeenAfter(RowsSeen, Checkpoint):
    pass


def test_callbacks_come_before_a_part_is_recorded_and_checkpoints_after_it(tmp_path):
    config, folder = start(tmp_path)
    before, after = RowsSeen(folder), RowsSeenAfter(folder)
    train_on_samples(Mean(), config, folder, columns=("distance",), callbacks=[after, before])
    assert (before.rows, after.rows) == ([0, 1, 2], [1, 2, 3])
