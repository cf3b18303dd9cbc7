"""What happens around the steps of any task."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import lightning.pytorch as pl
from typing_extensions import override

from onelip.layers import retract_
from onelip.tasks.optimizers import is_schedule_free


class AfterStep(pl.Callback):
    """Base of callbacks that act after each step of the optimiser, which may be that of several batches."""

    def __init__(self) -> None:
        self._steps_seen = 0

    @abstractmethod
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Act, at the end of the batch that the optimiser took its step after.

        Args:
            trainer: Its `global_step` counts this step.
            pl_module: What is trained.
        """

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._steps_seen = trainer.global_step

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != self._steps_seen:
            self._steps_seen = trainer.global_step
            self.after_step(trainer, pl_module)


class Retract(AfterStep):
    """Move the raw parameters back onto their constraint sets after each step, function unchanged.

    Skipped for schedule-free optimisers: they average iterates, and the average of two representations of the same
    function is not that function.
    """

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not any(is_schedule_free(optimizer) for optimizer in trainer.optimizers):
            retract_(pl_module)
