"""The time that a training has taken, and its end after a given time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from typing_extensions import override

from onelip.tasks.callbacks import AfterStep


class TrainingClock(AfterStep):
    """Measure the time that a Lightning trainer spends on training, and end the training after `max_minutes`.

    Validations and what is done at the end of an epoch do not count, so that how often one looks does not change what
    is learned. The time is part of each checkpoint, and a resumed training goes on counting from there. At the end of
    the time the training stops after the step that is under way, and is validated. In distributed training with a
    limit, all processes go by the time of the first. Put it after the callbacks whose work is to count.

    Args:
        max_minutes: Positive; None for a training that ends otherwise.
        now: Tells the time in seconds.

    Raises:
        ValueError: `max_minutes` is not positive and finite.
    """

    def __init__(self, max_minutes: float | None = None, *, now: Callable[[], float] = time.perf_counter) -> None:
        super().__init__()
        if max_minutes is not None and not 0.0 < max_minutes < math.inf:
            raise ValueError(f"max_minutes={max_minutes} in TrainingClock must be positive and finite, or None")
        self.max_minutes = max_minutes
        self._now = now
        self._before = 0.0
        self._since: float | None = None
        self._agreed: float | None = None

    @property
    def seconds(self) -> float:
        """Time spent on training so far, over all parts of a run that was resumed."""
        return self._before + (0.0 if self._since is None else self._now() - self._since)

    @property
    def progress(self) -> float | None:
        """The part of the time that is over, in [0, 1]; None without a limit."""
        seconds = self.seconds if self._agreed is None else self._agreed
        return None if self.max_minutes is None else min(seconds / (60.0 * self.max_minutes), 1.0)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = float(state_dict["seconds"])

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._agree(trainer)
        if self.progress == 1.0:
            trainer.should_stop = True

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start()

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # After a validation in the middle of an epoch.
        self._start()
        self._agree(trainer)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.is_last_batch or trainer.should_stop:
            self._stop()

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    # What the learning rate, ramps and the end depend on has to be the same in all processes.
    def _agree(self, trainer: pl.Trainer) -> None:
        if self.max_minutes is not None and trainer.world_size > 1:
            self._agreed = float(trainer.strategy.broadcast(self.seconds))

    def _start(self) -> None:
        if self._since is None:
            self._since = self._now()

    def _stop(self) -> None:
        self._before, self._since = self.seconds, None
