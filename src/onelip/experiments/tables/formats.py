"""Tables as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from onelip.experiments.tables.filling import Cell, Grid
from onelip.experiments.tables.grid import Spec
from onelip.experiments.tables.latex import latex
from onelip.experiments.tables.numbers import summary_text
from onelip.experiments.tables.published import Published

MISSING = "\N{EN DASH}"
"""What stands in a cell without a number."""

_COLUMNS = (
    "table", "row", "column", "unit", "n", "mean", "deviation", "best", "missing", "text",
    "published", "published_deviation", "published_unit", "published_source",
)  # fmt: skip


def cell_text(cell: Cell, *, with_n: bool) -> str:
    """Write a cell, without a mark of the best.

    Args:
        cell: The cell.
        with_n: Whether to add the number of runs.

    Returns:
        Text.
    """
    if cell.slot is None or cell.slot.absent:
        return cell.text
    if cell.summary is None:
        return MISSING
    return summary_text(cell.summary, cell.slot.unit.decimals) + (f" (n={cell.n})" if with_n and cell.n else "")


def counts_differ(grid: Grid) -> bool:
    """Say whether cells are means of different numbers of runs.

    Args:
        grid: A table.

    Returns:
        Whether they are, so that each has to say its own.
    """
    return len({cell.n for row in grid.cells for cell in row if cell.n}) > 1


def _markdown(grids: Sequence[Grid], shown: bool) -> str:
    return "\n".join(_markdown_grid(grid, shown) for grid in grids)


def _markdown_grid(grid: Grid, shown: bool) -> str:
    spec, with_n = grid.spec, counts_differ(grid)
    body = [[_bold(cell_text(cell, with_n=with_n), cell.best) for cell in row] for row in grid.cells]
    lines = [f"**{spec.title}**", "", *_lines(spec, body), "", *(f"- {note}" for note in grid.notes)]
    if shown and spec.published:
        body = [[_stated(cell.published) for cell in row] for row in grid.cells]
        lines += ["", f"Published, not measured here ({spec.published}):", "", *_lines(spec, body)]
    return "\n".join([*lines, ""])


def _lines(spec: Spec, body: Sequence[Sequence[str]]) -> list[str]:
    header = [*spec.corner, *(" ".join(filter(None, labels)) for labels in spec.columns)]
    rows = [[*labels, *cells] for labels, cells in zip(spec.rows, body, strict=True)]
    rule = ["---"] * len(spec.corner) + ["---:"] * len(spec.columns)
    return [_line(cells) for cells in (header, rule, *rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _bold(text: str, best: bool) -> str:
    return f"**{text}**" if best else text


def _stated(stated: Published | None) -> str:
    if stated is None:
        return ""
    return (stated.text or MISSING) + (f" ± {stated.deviation}" if stated.deviation else "")


def _csv(grids: Sequence[Grid], shown: bool) -> str:
    columns = _COLUMNS if shown else _COLUMNS[:-4]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore", restval="")
    writer.writeheader()
    for grid in grids:
        for record in _records(grid):
            row = record | {
                "row": " / ".join(record["row"].values()),
                "column": " / ".join(filter(None, record["column"])),
            }
            stated = row.pop("published")
            if stated is not None:
                row |= {"published": stated["text"], "published_deviation": stated["deviation"]}
                row |= {"published_unit": stated["unit"], "published_source": stated["source"]}
            row |= {key: int(row[key]) for key in ("best", "missing")}
            writer.writerow({"table": grid.spec.title, **row})
    return text.getvalue()


def _json(grids: Sequence[Grid], shown: bool) -> str:
    tables = []
    for grid in grids:
        cells = [
            record if shown else {k: v for k, v in record.items() if k != "published"} for record in _records(grid)
        ]
        table = {"title": grid.spec.title, "cells": cells, "notes": list(grid.notes)}
        tables.append(table | ({"published": grid.spec.published} if shown else {}))
    return json.dumps({"tables": tables}, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _records(grid: Grid) -> list[dict[str, Any]]:
    return [
        _record(grid.spec, r, c, cell)
        for r, row in enumerate(grid.cells)
        for c, cell in enumerate(row)
        if cell.slot is not None or cell.text
    ]


def _record(spec: Spec, r: int, c: int, cell: Cell) -> dict[str, Any]:
    summary, stated = cell.summary, cell.published
    return {
        "row": dict(zip(spec.corner, spec.rows[r], strict=True)),
        "column": list(spec.columns[c]),
        "unit": "" if cell.slot is None else cell.slot.unit.name,
        "n": cell.n,
        "mean": None if summary is None else summary.mean,
        "deviation": None if summary is None else summary.deviation,
        "best": cell.best,
        "missing": cell.missing,
        "text": cell.text,
        "published": None
        if stated is None
        else {
            "text": stated.text,
            "value": stated.value,
            "deviation": stated.spread,
            "unit": stated.unit,
            "source": stated.source,
        },
    }


FORMATS: dict[str, Callable[[Sequence[Grid], bool], str]] = {
    "md": _markdown,
    "csv": _csv,
    "latex": latex,
    "json": _json,
}
"""Writers of tables; the second argument says whether published numbers are shown."""
