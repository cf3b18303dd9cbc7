"""Progress of a training on standard error: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from typing_extensions import override

from onelip.experiments.progress import progress_bar
from onelip.tasks import Classification, TrainingClock

_PLAIN_LINES = 10


class TrainingProgress(pl.Callback):
    """Show the epoch and what a task measures: of a `Classification` the loss and the validation accuracies.

    Args:
        clock: The trainer's; if it has a limit, the bar shows the time that is over.
        unit: What an epoch of the trainer is called.
    """

    def __init__(self, clock: TrainingClock, unit: str = "epoch") -> None:
        self._unit = unit
        self._console = Console(stderr=True)
        self._bar = progress_bar(self._console)
        self._clock = clock
        self._lines = 0
        self._task: Any = None

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._lines = int(_PLAIN_LINES * self._done(trainer))
        self._bar.start()
        self._task = self._bar.add_task("training", total=1.0, status="")
        self._bar.update(self._task, completed=self._done(trainer))

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._bar.update(self._task, completed=self._done(trainer, batch_idx + 1))

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        line = f"{self._place(trainer)}  {_summary(pl_module)}"
        self._bar.update(self._task, status=line)
        lines = int(_PLAIN_LINES * self._done(trainer, int(trainer.num_training_batches)) + 1e-9)
        if not self._console.is_terminal and (lines > self._lines):
            self._lines = lines
            self._console.print(line, highlight=False)

    def _done(self, trainer: pl.Trainer, n_batches: int = 0) -> float:
        if self._clock.progress is not None:
            return self._clock.progress
        in_epoch = n_batches / int(trainer.num_training_batches)
        return (trainer.current_epoch + in_epoch) / int(trainer.max_epochs or 1)

    def _place(self, trainer: pl.Trainer) -> str:
        epoch = trainer.current_epoch + 1
        if self._clock.max_minutes is None:
            return f"{self._unit} {epoch}/{trainer.max_epochs}"
        return f"{self._unit} {epoch}, minute {self._clock.seconds / 60:.1f}/{self._clock.max_minutes:g}"

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._bar.stop()

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._bar.stop()


def _summary(pl_module: pl.LightningModule) -> str:
    metrics = getattr(pl_module, "metrics", {})
    if not isinstance(pl_module, Classification):
        return "  ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
    shown = {"loss": f"{metrics.get('train_loss', float('nan')):.4f}"}
    if "val_accuracy" in metrics:
        shown["validation accuracy"] = f"{metrics['val_accuracy']:.2%}"
    if "val_certified_accuracy" in metrics:
        shown["certified"] = f"{metrics['val_certified_accuracy']:.2%}"
    return "  ".join(f"{name} {value}" for name, value in shown.items())
