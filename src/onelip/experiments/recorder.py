"""What a training leaves in its run folder: metrics, the last and the best checkpoint."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from onelip.experiments.errors import UserError
from onelip.experiments.files import atomic_path, remove_partial_files, write_text_atomically
from onelip.experiments.run_folder import RunFolder
from onelip.tasks import Classification, TrainingClock

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_certified_accuracy",
    "learning_rate",
    "seconds",
    "minutes",
)


class Recorder(Checkpoint):
    """Write the metrics and checkpoints of a `Classification`, so that a killed run can continue exactly.

    After each epoch one row goes into `metrics.csv`, then `last.ckpt` is replaced; it holds the state of torch's random
    generators too. In a row, `seconds` are those of the epoch with its validation and `minutes` those spent on training
    since the beginning; columns that were not measured stay empty. The checkpoint has the rows until then as well: a
    run that goes on begins with those, whatever has become of the file. `best.ckpt` holds the evaluation weights of the
    epoch with the highest certified accuracy on the validation split; ties are broken by accuracy, then in favour of
    the later epoch, whose learning rate has fallen further. Without certified accuracies, whose column then stays
    empty, it is the one with the highest accuracy. Of several processes the first one writes.

    Other tasks are recorded likewise if they have the mapping `metrics`, with their own columns and weights="last".

    Args:
        folder: The run's folder.
        weights: "last" makes every epoch the best one so far: for validation splits too small to choose by.
        clock: The trainer's; None leaves the minutes empty.
        columns: Of `metrics.csv`.
    """

    def __init__(
        self,
        folder: RunFolder,
        weights: Literal["best", "last"] = "best",
        clock: TrainingClock | None = None,
        columns: Sequence[str] = COLUMNS,
    ) -> None:
        self._columns = tuple(columns)
        self._folder = folder
        self._weights = weights
        self._clock = clock
        self._best: tuple[float, ...] | None = None
        self._random: dict[str, Any] | None = None
        self._rows: str | None = None
        self._epoch_start = 0.0

    @override
    def state_dict(self) -> dict[str, Any]:
        # Of the device in use: every process has the same, and may have another device when it goes on.
        devices = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
        random = {"cpu": torch.get_rng_state(), "cuda": devices}
        return {"best": self._best, "random": random, "metrics": self._rows}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = None if state_dict["best"] is None else tuple(state_dict["best"])
        self._random = state_dict["random"]
        # Of an earlier version there is none.
        self._rows = state_dict.get("metrics")

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A resumed training without validation does not begin with the start of an epoch.
        self._epoch_start = time.perf_counter()
        if trainer.is_global_zero:
            remove_partial_files(self._folder.path)
            self._rows = keep_epochs(self._folder, trainer.current_epoch, self._rows)
        if self._random is not None:
            torch.set_rng_state(self._random["cpu"].cpu())
            if self._random["cuda"] and torch.cuda.is_available():
                torch.cuda.set_rng_state(self._random["cuda"][0].cpu())

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_start = time.perf_counter()

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = _metrics(pl_module)
        score = tuple(metrics[name] for name in ("val_certified_accuracy", "val_accuracy") if name in metrics)
        if self._weights == "last" or self._best is None or score >= self._best:
            self._best = score
            if not trainer.is_global_zero:
                return
            weights = _classification(pl_module).model.state_dict()
            with atomic_path(self._folder.best_checkpoint) as temporary:
                torch.save({"epoch": trainer.current_epoch, "state_dict": weights}, temporary)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seconds = round(time.perf_counter() - self._epoch_start, 3)
        row = {"epoch": trainer.current_epoch, "seconds": seconds, **_metrics(pl_module)}
        if self._clock is not None:
            row["minutes"] = round(self._clock.seconds / 60.0, 5)
        if not trainer.is_global_zero:
            # All take part in making a checkpoint, and the first writes it.
            trainer.save_checkpoint(self._folder.last_checkpoint, weights_only=False)
            return
        self._append(row)
        with atomic_path(self._folder.last_checkpoint) as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)

    def _append(self, row: dict[str, Any]) -> None:
        file = self._folder.metrics_file
        # A run of an earlier version goes on with the columns that it has.
        columns = file.read_text("utf-8").partition("\n")[0].split(",") if file.exists() else self._columns
        values = [row.get(column, "") for column in columns]
        lines = [values] if file.exists() else [columns, values]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(lines)
        with file.open("a", encoding="utf-8", newline="") as stream:
            stream.write(text.getvalue())
            stream.flush()
            os.fsync(stream.fileno())
        self._rows = (self._rows or "") + text.getvalue()


def read_metrics(folder: RunFolder) -> list[dict[str, float]]:
    """Read the rows of `metrics.csv`, without a last row that was cut short.

    Args:
        folder: The run's folder.

    Returns:
        One mapping of column to value for each epoch, without the columns that are empty.

    Raises:
        UserError: A row has more or fewer values than there are columns.
    """
    if not folder.metrics_file.exists():
        return []
    text = folder.metrics_file.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = [*csv.reader(io.StringIO(whole))]
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise UserError(
                f"{folder.metrics_file}: line {number} has {len(row)} values, and there are {len(rows[0])} columns"
            )
    return [{key: float(value) for key, value in zip(rows[0], row, strict=True) if value != ""} for row in rows[1:]]


def keep_epochs(folder: RunFolder, n_epochs: int, rows: str | None = None) -> str:
    """Make `metrics.csv` that of its first epochs.

    Args:
        folder: The run's folder.
        n_epochs: How many rows to keep.
        rows: The file as it was then; None keeps those of its first rows that are whole.

    Returns:
        The file's text, empty if there is none.
    """
    file = folder.metrics_file
    if n_epochs == 0:
        file.unlink(missing_ok=True)
        return ""
    if rows is None:
        lines = file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
        rows = "".join(line for line in lines[: n_epochs + 1] if line.endswith("\n"))
    if rows:
        write_text_atomically(file, rows)
    return rows


def _metrics(pl_module: pl.LightningModule) -> Mapping[str, float]:
    metrics = getattr(pl_module, "metrics", None)
    if not isinstance(metrics, Mapping):
        raise TypeError(f"Recorder cannot record {type(pl_module).__name__}, which has no mapping `metrics`")
    return metrics


def _classification(pl_module: pl.LightningModule) -> Classification:
    if not isinstance(pl_module, Classification):
        raise TypeError(
            f"Recorder cannot choose the best weights of {type(pl_module).__name__}, only of Classification"
        )
    return pl_module
