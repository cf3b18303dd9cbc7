"""The table of what networks cost: one file, one row for each measurement, on any number of machines.

The file is CSV with one header and one wide row for each network that was measured: where (`machine`, `device`), with
what (`onelip`, `date`), what (`model`, `method`, `batch`, `image`, `classes`), how long and how large, and an `error`
in place of the numbers that are missing. Rows are only ever appended. Whoever reads gets the newest row of each key,
which is everything of "where" and "what": a version of torch and a number of threads are part of the machine.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.file_lock import locked
from onelip.experiments.files import write_text_atomically

PLAIN = "plain"
"""The method that others are compared with: ordinary convolutions."""


@dataclass(frozen=True)
class Measurement:
    """What one network costs on one machine; None is not measured, and `error` then says why.

    Attributes:
        machine: Processor and number of threads, or GPU and CUDA; and torch.
        device: "cpu" or "cuda".
        onelip: Its version.
        date: When, as ISO 8601 with the time.
        model: Name of the architecture.
        method: Name of its convolutions, "plain" for ordinary ones.
        batch: Images in a batch.
        image: Pixels of a side.
        classes: Number of logits.
        train_seconds: Of a training step: the median.
        train_iqr_seconds: The distance between its quartiles.
        eval_seconds: Of the evaluation of a batch with weights built before: the median.
        eval_iqr_seconds: The distance between its quartiles.
        caching_seconds: What the first evaluation after a change of the weights takes longer.
        plain_eval_seconds: Of the evaluation of a batch by the network's plain form.
        train_memory_bytes: The most that training takes at once, weights and optimiser included.
        eval_memory_bytes: The most that evaluation takes at once, the building of weights included.
        forward_flops: Of the evaluation of a batch with weights built before.
        train_flops: Of a training step, the building of weights included.
        parameters: Numbers that are trained.
        error: Why something is missing, one sentence, or empty.
    """

    machine: str
    device: str
    onelip: str
    date: str
    model: str
    method: str
    batch: int
    image: int
    classes: int
    train_seconds: float | None = None
    train_iqr_seconds: float | None = None
    eval_seconds: float | None = None
    eval_iqr_seconds: float | None = None
    caching_seconds: float | None = None
    plain_eval_seconds: float | None = None
    train_memory_bytes: int | None = None
    eval_memory_bytes: int | None = None
    forward_flops: int | None = None
    train_flops: int | None = None
    parameters: int | None = None
    error: str = ""

    @property
    def key(self) -> tuple[str | int, ...]:
        """What a newer row replaces: the same network on the same machine."""
        return self.machine, self.device, self.model, self.method, self.batch, self.image, self.classes


COLUMNS = tuple(field.name for field in fields(Measurement))
"""Of the file, in this order."""

_CONVERT: dict[str, Any] = {
    "str": str,
    "int": int,
    "int | None": lambda text: int(text) if text else None,
    "float | None": lambda text: float(text) if text else None,
}


def check_appendable(path: Path) -> None:
    """Refuse a file that rows cannot be appended to, before anything is measured.

    Args:
        path: The file, which may not exist yet.

    Raises:
        UserError: It is another table, or there is no folder for it.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder, so {path.name} cannot be written there")
    _existing(path)


def append_measurement(path: Path, row: Measurement) -> None:
    """Append a row, in one step; several processes may do so at the same time.

    Args:
        path: The file; made with its header if it is not there.
        row: The row.

    Raises:
        UserError: If the file is another table.
    """
    with locked(path):
        text = _existing(path) or _line(COLUMNS)
        values = ("" if value is None else value for value in (getattr(row, name) for name in COLUMNS))
        write_text_atomically(path, text + _line(tuple(values)))


def read_measurements(path: str | Path) -> list[Measurement]:
    """Read a table, the newest row of each network and machine.

    Args:
        path: The file.

    Returns:
        In the order in which the networks appear first.

    Raises:
        UserError: If there is no such file, or it is another table.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there are no measurements; make some with: onelip bench measure --out {path}")
    found: dict[tuple[str | int, ...], Measurement] = {}
    for number, values in enumerate(csv.reader(io.StringIO(_existing(path))), start=1):
        if number > 1:
            row = _measurement(path, number, values)
            found[row.key] = row
    return list(found.values())


def _measurement(path: Path, number: int, values: Sequence[str]) -> Measurement:
    try:
        pairs = zip(fields(Measurement), values, strict=True)
        return Measurement(**{field.name: _CONVERT[str(field.type)](value) for field, value in pairs})
    except ValueError:
        raise UserError(f"row {number} of {path} is not a measurement; take it out of the file") from None


def _existing(path: Path) -> str:
    if not path.exists():
        return ""
    with as_user_errors():
        text = path.read_text("utf-8")
    if text and not text.startswith(_line(COLUMNS)):
        first = text.partition("\n")[0][:60]
        raise UserError(f"{path} begins with {first!r}, which is not the header of measurements; name another file")
    return text


def _line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
