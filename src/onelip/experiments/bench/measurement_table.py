"""Measurements of networks as a table, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence

from onelip.experiments.bench.measurements import COLUMNS, PLAIN, Measurement

_HEADINGS = (
    "model", "method", "train", "eval", "caching", "plain form", "train memory", "eval memory", "train FLOPs",
    "eval FLOPs", "parameters",
)  # fmt: skip

EXPLANATION = (
    "train: forward, loss, backward, a step of SGD with momentum, retract_; eval: without gradients, of weights built "
    "before; caching: what the first evaluation after a change of the weights takes longer; plain form: evaluation of "
    "to_plain(); all of one batch, medians; in brackets, multiples of the plain network's.",
    "memory: the most at once, on a GPU of torch's allocator, on a CPU of the process; with weights, optimiser and "
    "what builds the weights.",
    "FLOPs: of convolutions and matrix products, as torch counts them; FFTs, factorisations and triangular solves are "
    "not counted.",
)
"""What the columns are."""


def _cells(row: Measurement, rows: Sequence[Measurement]) -> tuple[str, ...]:
    plain = _plain(row, rows)
    names = ("train_seconds", "eval_seconds", "caching_seconds", "plain_eval_seconds")
    seconds = [_with_ratio(row, plain, name, _milliseconds) for name in names[:2]]
    seconds += [_shown(getattr(row, name), _milliseconds) for name in names[2:]]
    memory = [_with_ratio(row, plain, f"{part}_memory_bytes", _mebibytes) for part in ("train", "eval")]
    flops = [_shown(value, _giga) for value in (row.train_flops, row.forward_flops)]
    return row.model, row.method, *seconds, *memory, *flops, _shown(row.parameters, lambda n: f"{n:,}")


def _plain(row: Measurement, rows: Sequence[Measurement]) -> Measurement | None:
    wanted = dataclasses.replace(row, method=PLAIN).key
    return next((other for other in rows if other.key == wanted and row.method != PLAIN), None)


def _with_ratio(row: Measurement, plain: Measurement | None, name: str, show: Callable[[float], str]) -> str:
    value, other = getattr(row, name), plain and getattr(plain, name)
    text = _shown(value, show)
    return f"{text} ({value / other:.3g}x)" if value is not None and other else text


def _shown(value: float | None, show: Callable[[float], str]) -> str:
    return "-" if value is None else show(value)


def _milliseconds(seconds: float) -> str:
    return f"{_three(1e3 * seconds)} ms"


def _mebibytes(n_bytes: float) -> str:
    return f"{_three(n_bytes / 2**20)} MiB"


def _giga(flops: float) -> str:
    return f"{_three(flops / 1e9)} G"


def _three(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _setting(rows: Sequence[Measurement]) -> list[str]:
    settings = (
        f"on {row.machine}, onelip {row.onelip}: batch {row.batch} of {row.image}x{row.image}, {row.classes} classes"
        for row in rows
    )
    return list(dict.fromkeys(settings))


def _errors(rows: Sequence[Measurement]) -> list[str]:
    return [f"{row.model} {row.method}: {row.error}" for row in rows if row.error]


def _table(rows: Sequence[Measurement]) -> str:
    lines = [_HEADINGS, *(_cells(row, rows) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*_setting(rows), "", *aligned, "", *_errors(rows), *EXPLANATION]) + "\n"


def _markdown(rows: Sequence[Measurement]) -> str:
    marks = [":--", ":--", *["--:"] * (len(_HEADINGS) - 2)]
    lines = [f"| {' | '.join(cells)} |" for cells in (_HEADINGS, marks, *(_cells(row, rows) for row in rows))]
    below = [f"- {line}" for line in (*_errors(rows), *EXPLANATION)]
    return "\n".join([f"{'; '.join(_setting(rows))}.", "", *lines, "", *below]) + "\n"


def _csv(rows: Sequence[Measurement]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)
    return text.getvalue()


def _json(rows: Sequence[Measurement]) -> str:
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Measurement]], str]] = {
    "table": _table,
    "md": _markdown,
    "csv": _csv,
    "json": _json,
}
"""The ways to print measurements."""
