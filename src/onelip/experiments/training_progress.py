"""Progress of a training on standard error: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from typing_extensions import override

from onelip.experiments.progress import progress_bar
from onelip.tasks import Classification

_PLAIN_LINES = 10


class TrainingProgress(pl.Callback):
    """Show the epoch, the loss and the validation accuracies of a `Classification`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = progress_bar(self._console)
        self._task: Any = None

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        done = trainer.current_epoch * int(trainer.num_training_batches)
        total = int(trainer.max_epochs or 1) * int(trainer.num_training_batches)
        self._bar.start()
        self._task = self._bar.add_task("training", total=total, completed=done, status="")

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._bar.advance(self._task)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch, last = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        line = f"epoch {epoch}/{last}  {_summary(pl_module)}"
        self._bar.update(self._task, status=line)
        if not self._console.is_terminal and (epoch == last or epoch % max(1, last // _PLAIN_LINES) == 0):
            self._console.print(line, highlight=False)

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._bar.stop()

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._bar.stop()


def _summary(pl_module: pl.LightningModule) -> str:
    metrics = pl_module.metrics if isinstance(pl_module, Classification) else {}
    shown = {
        "loss": f"{metrics.get('train_loss', float('nan')):.4f}",
        "validation accuracy": f"{metrics.get('val_accuracy', float('nan')):.2%}",
    }
    if "val_certified_accuracy" in metrics:
        shown["certified"] = f"{metrics['val_certified_accuracy']:.2%}"
    return "  ".join(f"{name} {value}" for name, value in shown.items())
