"""The times of a training's parts, and its end when enough of them are known."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from onelip.tasks.callbacks import AfterStep


def synchronised(device: torch.device) -> float:
    """Tell the time when all that was asked of a device is done.

    Args:
        device: Where is computed.

    Returns:
        Seconds since some moment.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Stopwatch(AfterStep):
    """Measure steps, the validation and the end of the epoch of a Lightning trainer, then end the training.

    A step is all that lies between two ends of a step, so that reading its batches counts, and what callbacks do.

    Args:
        steps: How many steps to measure.
        max_seconds: No step begins after that time, but for the second one.
        warm_up: Steps before those that count.
        now: Tells the time of a device in seconds.

    Attributes:
        validation: Seconds of each batch of the last validation, what is done before the first one included.
        end: Seconds of what follows the last step, without those of the batches that were validated.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        steps: int,
        max_seconds: float,
        warm_up: int,
        *,
        now: Callable[[torch.device], float] = synchronised,
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps={steps} to measure must be at least 1")
        if warm_up < 0:
            raise ValueError(f"warm_up={warm_up} must be at least 0")
        if not 0.0 < max_seconds < math.inf:
            raise ValueError(f"max_seconds={max_seconds} to measure in must be positive and finite")
        self.validation: list[float] = []
        self.end = 0.0
        self._steps: list[float] = []
        self._n, self._warm_up, self._max_seconds, self._now = warm_up + steps, warm_up, max_seconds, now
        self._begin = self._last = 0.0

    @property
    def measured(self) -> list[float]:
        """Seconds of each step that counts: of the last one alone where the time was too short for warming up."""
        return self._steps[self._warm_up :] or self._steps[-1:]

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.measured)

    @property
    def mean(self) -> float:
        """Seconds of a step, where some steps do more than others."""
        return statistics.fmean(self.measured)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._begin = self._last = self._now(pl_module.device)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last = self._now(pl_module.device)

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._steps.append(self._lap(pl_module))
        late = len(self._steps) >= 2 and self._last - self._begin >= self._max_seconds
        if late or len(self._steps) >= self._n:
            trainer.should_stop = True

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end = self._lap(pl_module)
        self.validation = []

    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.validation.append(self._lap(pl_module))

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end += self._lap(pl_module)

    def _lap(self, pl_module: pl.LightningModule) -> float:
        before, self._last = self._last, self._now(pl_module.device)
        return self._last - before
