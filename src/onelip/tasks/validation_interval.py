"""Validation after some epochs only, and always at the end."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from typing_extensions import override


class ValidationInterval(pl.Callback):
    """Validate after every `epochs` epochs and after the last one, however it comes about.

    Put it after the callbacks that may stop a training.

    Args:
        epochs: At least 1.

    Raises:
        ValueError: It is less.
    """

    def __init__(self, epochs: int) -> None:
        if epochs < 1:
            raise ValueError(f"epochs={epochs} in ValidationInterval must be at least 1")
        self._epochs = epochs

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        number = trainer.current_epoch + 1
        due = number % self._epochs == 0 or number == trainer.max_epochs
        # Lightning validates in epochs whose number is a multiple of this.
        trainer.check_val_every_n_epoch = 1 if due else number + 1

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.should_stop:
            trainer.check_val_every_n_epoch = 1
