"""The command `onelip bench measure`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from onelip.experiments.bench.cell import Cell
from onelip.experiments.bench.measurement_table import FORMATS
from onelip.experiments.bench.measurements import Measurement, append_measurement, check_appendable
from onelip.experiments.bench.networks import check_names, measure_network
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.linalg import unknown_name


@dataclass(frozen=True)
class Effort:
    """How carefully networks are measured.

    Attributes:
        steps: How often each thing is timed.
        seconds: About how long each network may take.
    """

    steps: int
    seconds: float


def bench_measure(
    *,
    models: str,
    methods: str,
    device: str,
    batch: int,
    image: int,
    classes: int,
    effort: Effort,
    format_name: str,
    out: str,
) -> None:
    """Measure networks, append a row for each to a file as soon as it is there, and print the table.

    Args:
        models: Names of architectures, with commas between.
        methods: Names of layers, with commas between.
        device: Where.
        batch: Images in a batch.
        image: Pixels of a side.
        classes: Number of logits.
        effort: How carefully.
        format_name: A key of `FORMATS`.
        out: The file.

    Raises:
        UserError: If an argument is wrong, or the file is another table.
        CommandFailedError: If something could not be measured.
    """
    if format_name not in FORMATS:
        raise UserError(unknown_name("format", format_name, FORMATS))
    of_models, of_methods = _names(models), _names(methods)
    check_names(of_models, of_methods, device)
    path = Path(out)
    check_appendable(path)
    rest = (batch, image, classes, device, torch.get_num_threads(), effort.steps, effort.seconds)
    cells = [Cell(model, method, *rest) for model in of_models for method in of_methods]
    rows: list[Measurement] = []
    for cell in cells:
        row = measure_network(cell)
        append_measurement(path, row)
        rows.append(row)
        sys.stderr.write(f"{len(rows)}/{len(cells)} {cell.model} {cell.method}{_outcome(row)}\n")
    sys.stdout.write(FORMATS[format_name](rows))
    sys.stderr.write(f"appended to: {path}\n")
    failed = [f"{row.model} {row.method}" for row in rows if row.error]
    if failed:
        raise CommandFailedError(f"{len(failed)} of {len(rows)} networks failed: {', '.join(failed)}", 1)


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _outcome(row: Measurement) -> str:
    if row.error:
        return f": {row.error}"
    return f": {row.train_seconds:.3g} s a step, {row.eval_seconds:.3g} s an evaluation"
