"""Norms of the parts of a network, measured exactly while a method keeps them small."""

from __future__ import annotations

import csv
import io
import os
from typing import Any

import lightning.pytorch as pl
from torch import nn
from typing_extensions import override

from onelip.experiments.config import Clipping
from onelip.experiments.files import write_text_atomically
from onelip.experiments.run_folder import RunFolder
from onelip.spectral import LayerSpectrum, spectrum
from onelip.tasks import AfterStep

NORM_COLUMNS = ("step", "part", "kind", "input_shape", "value")

TOLERANCE = 1e-4
"""Error of a measured norm, relative to it."""


class NormChecks(AfterStep):
    """Measure the parts that a method bounds, and append one row for each to `norms.csv`.

    The measurement shares no state with the method: the largest singular value of each part, as it is run in eval mode,
    to a relative error of 1e-4. TensorBoard gets the same as `measured_norm/<part>`. Rows that a killed run wrote after
    its last checkpoint are cut. Of several processes, whose weights are the same, the first one measures.

    Args:
        folder: The run's folder.
        input_shape: Shape of one input of the network.
        options: When, and what is bounded.
    """

    def __init__(self, folder: RunFolder, input_shape: tuple[int, ...], options: Clipping) -> None:
        super().__init__()
        self._folder = folder
        self._input_shape = input_shape
        self._options = options

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if trainer.is_global_zero:
            keep_steps(self._folder, trainer.global_step)

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        every = self._options.check_every
        if every is not None and trainer.global_step % every == 0:
            self._check(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._options.check_every is None:
            self._check(trainer, pl_module)

    def _check(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        # The weights are the same with and without the task around the network, and so are the names.
        network = getattr(pl_module, "model", pl_module)
        rows = bounded_parts(network, self._input_shape, self._options.batch_norm)
        self._append([_cells(trainer.global_step, row) for row in rows])
        for logger in trainer.loggers:
            norms = {f"measured_norm/{row.name}": row.largest for row in rows}
            logger.log_metrics(norms, step=trainer.global_step)

    def _append(self, rows: list[tuple[Any, ...]]) -> None:
        file = self._folder.norms_file
        with file.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            if not file.stat().st_size:
                writer.writerow(NORM_COLUMNS)
            writer.writerows(rows)
            stream.flush()
            os.fsync(stream.fileno())


def bounded_parts(network: nn.Module, input_shape: tuple[int, ...], batch_norm: str) -> list[LayerSpectrum]:
    """Measure the parts of a network that a clipping method is to bound.

    Args:
        network: Left as it is.
        input_shape: Shape of one input.
        batch_norm: "keep" measures convolutions and dense layers; "clip" batch normalisations, too; "joint" a
            convolution and the batch normalisation after it as one map.

    Returns:
        One row for each part, in order of execution.
    """
    rows = spectrum(network, input_shape, joint=batch_norm == "joint", tol=TOLERANCE).rows
    return [row for row in rows if batch_norm != "keep" or not row.kind.startswith("BatchNorm")]


def _cells(step: int, row: LayerSpectrum) -> tuple[Any, ...]:
    return step, row.name, row.kind, "x".join(map(str, row.input_shape)), row.largest


def read_norms(folder: RunFolder) -> list[dict[str, Any]]:
    """Read the rows of `norms.csv`, without a last row that was cut short.

    Args:
        folder: The run's folder.

    Returns:
        One mapping for each row, `step` as int and `value` as float.
    """
    if not folder.norms_file.exists():
        return []
    text = folder.norms_file.read_text("utf-8")
    rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    return [{**row, "step": int(row["step"]), "value": float(row["value"])} for row in rows]


def keep_steps(folder: RunFolder, last: int) -> None:
    """Cut `norms.csv` to the checks of its first steps.

    Args:
        folder: The run's folder.
        last: The last step to keep.
    """
    rows = [row for row in read_norms(folder) if row["step"] <= last]
    if not rows:
        folder.norms_file.unlink(missing_ok=True)
        return
    stream = io.StringIO()
    writer = csv.DictWriter(stream, NORM_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomically(folder.norms_file, stream.getvalue())
