"""What a trial tells the study after each validation, and the end that the study may tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override


class PrunedError(Exception):
    """A trial is behind the others; `value` is its metric, `epoch` the epoch, from 1 on."""

    def __init__(self, value: float, epoch: int) -> None:
        super().__init__(f"pruned after epoch {epoch}")
        self.value = value
        self.epoch = epoch


class Reporting(Checkpoint):
    """Report the metric of a trial after each epoch that has one, and end the training if it is behind.

    It is a checkpoint callback so that Lightning calls it when the epoch is recorded.

    Args:
        metric: Name in the task's `metrics`.
        behind: Called with epoch, from 1 on, and value; says whether the trial is to end.
    """

    def __init__(self, metric: str, behind: Callable[[int, float], bool]) -> None:
        self._metric = metric
        self._behind = behind

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = getattr(pl_module, "metrics", None)
        if not isinstance(metrics, Mapping) or self._metric not in metrics:
            return
        value, epoch = float(metrics[self._metric]), trainer.current_epoch + 1
        if self._behind(epoch, value):
            raise PrunedError(value, epoch)
