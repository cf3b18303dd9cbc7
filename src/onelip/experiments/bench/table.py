"""The measurements as a table, Markdown, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import onelip
from onelip.experiments.bench.results import Row
from onelip.experiments.bench.setup import Setup
from onelip.experiments.machine import describe_machine
from onelip.experiments.report.numbers import upper_text

_COLUMNS = ("method", "parameters", "train", "eval", "memory", "sigma max", "sigma min", "bound")

EXPLANATION = (
    "train: forward in train mode, which builds the constrained weight, backward into weights and input, an SGD step "
    "and retract_; eval: forward with weights built once; both as multiples of the plain layer's, medians of steps "
    "timed in turn.",
    "memory: most MiB of tensors at once in a training step, parameters and input included.",
    "sigma: extreme singular values of the plain form in float64; bound: of lipschitz_bound; both of weights with "
    "Gaussian noise of their own size added, and for small images.",
)
"""What the columns are."""


def header(setup: Setup) -> list[str]:
    """Name the layers and the machine.

    Args:
        setup: What was measured.

    Returns:
        Two lines.
    """
    return [setup.describe(), f"on {describe_machine(setup.device)}, onelip {onelip.__version__}"]


def _cells(row: Row) -> tuple[str, ...]:
    m = row.measured
    if m is None:
        return row.name, *["-"] * (len(_COLUMNS) - 1)
    plain = row.name == "plain"
    times = (m.train, m.evaluate)
    own = [f"{_three(t.seconds * 1e3)} ms" if plain else f"{_three(t.ratio)}x" for t in times]
    bound = f"{upper_text(m.bound.value, 6)}{'' if m.bound.proved else ' (estimate)'}"
    norms = (f"{m.values.largest:.6f}", f"{m.values.smallest:.6f}", bound)
    return row.name, f"{m.parameters}", *own, f"{m.memory / 2**20:.1f}", *norms


def _three(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def _table(setup: Setup, rows: Sequence[Row]) -> str:
    lines = [_COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))]).rstrip()
        for first, *rest in lines
    ]
    return "\n".join([*header(setup), "", *aligned, "", *_notes(rows), *EXPLANATION]) + "\n"


def _markdown(setup: Setup, rows: Sequence[Row]) -> str:
    marks = [":--", *["--:"] * (len(_COLUMNS) - 1)]
    lines = [_markdown_row(cells) for cells in (_COLUMNS, marks, *(_cells(row) for row in rows))]
    below = [f"- {line}" for line in (*_notes(rows), *EXPLANATION)]
    return "\n".join([f"{', '.join(header(setup))}.", "", *lines, "", *below]) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _notes(rows: Sequence[Row]) -> list[str]:
    # One line for notes alike.
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            names.setdefault(row.note, []).append(row.name)
    return [f"{', '.join(of)}: {note}." for note, of in names.items()]


def as_record(row: Row) -> dict[str, Any]:
    """Write a row with every number and its unit.

    Args:
        row: The row.

    Returns:
        Name to value; None for what was not measured.
    """
    m = row.measured
    values = {
        "method": row.name,
        "parameters": m and m.parameters,
        "train_seconds": m and m.train.seconds,
        "train_ratio": m and m.train.ratio,
        "eval_seconds": m and m.evaluate.seconds,
        "eval_ratio": m and m.evaluate.ratio,
        "memory_bytes": m and m.memory,
        "sigma_max": m and m.values.largest,
        "sigma_min": m and m.values.smallest,
        "bound": m and m.bound.value,
        "proved": m and m.bound.proved,
        "linear": m and m.values.linear,
    }
    return {**values, "note": row.note}


def _json(setup: Setup, rows: Sequence[Row]) -> str:
    measured = {
        "layers": setup.describe(),
        "machine": describe_machine(setup.device),
        "onelip": onelip.__version__,
        "repeats": setup.repeats,
        "columns": list(EXPLANATION),
        "rows": [as_record(row) for row in rows],
    }
    return json.dumps(measured, indent=2, allow_nan=False) + "\n"


def _csv(setup: Setup, rows: Sequence[Row]) -> str:
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in header(setup))
    records = [as_record(row) for row in rows]
    writer = csv.DictWriter(text, [*records[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


FORMATS: dict[str, Callable[[Setup, Sequence[Row]], str]] = {
    "table": _table,
    "md": _markdown,
    "json": _json,
    "csv": _csv,
}
"""The ways to write measurements down."""
