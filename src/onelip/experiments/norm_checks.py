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
from onelip.spectral import Part, affine_parts, batch_norm_norm, singular_values

NORM_COLUMNS = ("step", "part", "kind", "input_shape", "value")

NormRow = tuple[str, str, str, float]
"""Name, kind and input shape of a part, as 3x32x32, and its largest singular value."""

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class NormChecks(pl.Callback):
    """Measure the parts that a method bounds, and append one row for each to `norms.csv`.

    The measurement shares no state with the method: the largest singular value of each part, as it is run in eval mode,
    to a relative error of 1e-4. TensorBoard gets the same as `measured_norm/<part>`. Rows that a killed run wrote after
    its last checkpoint are cut.

    Args:
        folder: The run's folder.
        input_shape: Shape of one input of the network.
        options: When, and what is bounded.
    """

    def __init__(self, folder: RunFolder, input_shape: tuple[int, ...], options: Clipping) -> None:
        self._folder = folder
        self._input_shape = input_shape
        self._options = options

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        keep_steps(self._folder, trainer.global_step)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        every = self._options.check_every
        if every is not None and trainer.global_step % every == 0:
            self._check(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._options.check_every is None:
            self._check(trainer, pl_module)

    def _check(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The weights are the same with and without the task around the network, and so are the names.
        network = getattr(pl_module, "model", pl_module)
        rows = bounded_norms(network, self._input_shape, self._options.batch_norm)
        self._append(trainer.global_step, rows)
        for logger in trainer.loggers:
            norms = {f"measured_norm/{name}": value for name, _, _, value in rows}
            logger.log_metrics(norms, step=trainer.global_step)

    def _append(self, step: int, rows: list[NormRow]) -> None:
        file = self._folder.norms_file
        with file.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            if not file.stat().st_size:
                writer.writerow(NORM_COLUMNS)
            writer.writerows((step, *row) for row in rows)
            stream.flush()
            os.fsync(stream.fileno())


def bounded_norms(network: nn.Module, input_shape: tuple[int, ...], batch_norm: str) -> list[NormRow]:
    """Measure the parts of a network that a clipping method is to bound.

    Args:
        network: Left as it is.
        input_shape: Shape of one input.
        batch_norm: "keep" measures convolutions and dense layers; "clip" batch normalisations, too; "joint" a
            convolution and the batch normalisation after it as one map.

    Returns:
        One row for each part, in order of execution.
    """
    rows = []
    for part in affine_parts(network, input_shape, joint=batch_norm == "joint"):
        if batch_norm != "keep" or not isinstance(part.module, _NORMS):
            rows.append((part.name, part.kind, "x".join(map(str, part.input_shape)), _norm(part)))
    return rows


def _norm(part: Part) -> float:
    module = part.module
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        # A diagonal matrix needs no iteration.
        return batch_norm_norm(module)
    return float(singular_values(module, part.input_shape).values[0])


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
