"""What the page over many runs carries: columns of numbers and coded texts, as compact JSON that is safe in HTML."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from onelip.experiments.overview.columns import Column, Rounding, Value, score_column, table_columns
from onelip.experiments.overview.curves import RunCurves, collect_curves

if TYPE_CHECKING:
    from onelip.experiments.collection.rows import RunRow

DIGITS, BOUND_DIGITS = 7, 9
"""Significant digits of a number in the page, and of an upper bound, which is often just above 1."""

_MODES = {"near": ROUND_HALF_EVEN, "down": ROUND_FLOOR, "up": ROUND_CEILING}


class JsonNumber(str):
    """A number as JSON text; infinity is 1e999, which every reader of JSON turns into infinity."""

    __slots__ = ()


def overview_data(
    rows: Sequence[RunRow], folder: Path, *, most_curves: int, radar: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Gather what the page shows.

    Args:
        rows: The runs; at least one.
        folder: Where the page will be; links to the pages of runs are relative to it.
        most_curves: Learning curves of at most so many runs.
        radar: Axes, series and top of a radar plot, or None.

    Returns:
        The data; `json_text` writes it.
    """
    columns = table_columns(rows)
    score = score_column(columns)
    order = _best_first(rows, score)
    curves = collect_curves(rows, order, most_curves)
    paths = [os.path.relpath(row.folder, folder).replace(os.sep, "/") for row in rows]
    return {
        "columns": [encode_column(column) for column in columns],
        "paths": paths,
        "links": [_link(row, path) for row, path in zip(rows, paths, strict=True)],
        "score": None if score is None else score.key,
        "curves": _encode_curves(curves),
        "radar": radar,
    }


def encode_column(column: Column) -> dict[str, Any]:
    """Make a column short: texts as numbers of a list of levels, numbers with few digits.

    Args:
        column: The column.

    Returns:
        What the page's script reads.
    """
    said = {"key": column.key, "name": column.name, "group": column.group, "unit": column.unit, "shown": column.shown}
    if column.unit == "text":
        levels = sorted({v for v in column.values if v is not None}, key=_natural)
        codes = {level: k for k, level in enumerate(levels)}
        numeric = all(not isinstance(level, str) for level in levels)
        return said | {
            "levels": [_level_text(level) for level in levels],
            "codes": [-1 if v is None else codes[v] for v in column.values],
            "numeric": numeric and bool(levels),
        }
    values = [number(v, column.rounding) for v in column.values]
    return said | {"round": column.rounding, "lower": column.lower_is_better, "values": values}


def number(value: Value, rounding: Rounding = "near") -> JsonNumber | None:
    """Write a number with seven significant digits, an upper bound with nine.

    Args:
        value: The number; None or NaN for a missing one.
        rounding: "near", "down" or "up".

    Returns:
        Its text, or None.
    """
    if not isinstance(value, (int, float)) or math.isnan(value):
        return None
    if math.isinf(value):
        return JsonNumber("1e999" if value > 0 else "-1e999")
    if rounding == "near":
        return JsonNumber(f"{value:.{DIGITS}g}")
    digits = BOUND_DIGITS if rounding == "up" else DIGITS
    short = Context(prec=digits, rounding=_MODES[rounding]).create_decimal(Decimal(repr(float(value))))
    # The shortest text that is exactly this.
    text = f"{short:f}" if -7 < short.adjusted() < 12 else f"{short:e}"
    return JsonNumber(text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text)


def json_text(value: Any) -> str:
    """Write data for a `<script>` element.

    Args:
        value: Of dictionaries, lists, texts, numbers, `JsonNumber` and None.

    Returns:
        JSON without white space, in which no text can end the element: <, >, & and line separators are escaped.
    """
    if isinstance(value, JsonNumber):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_quoted(str(key))}:{json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, float):
        return json_text(number(value))
    return _quoted(value)


def _quoted(value: Any) -> str:
    # Python's default escapes everything that is not ASCII.
    text = json.dumps(value, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _natural(level: str | float) -> tuple[int, float, str]:
    if isinstance(level, str):
        return 1, 0.0, level
    return 0, float(level), ""


def _level_text(level: str | float) -> str:
    return level if isinstance(level, str) else f"{level:.12g}"


def _best_first(rows: Sequence[RunRow], score: Column | None) -> list[int]:
    def place(k: int) -> tuple[bool, float]:
        value = None if score is None else score.values[k]
        return (True, 0.0) if not isinstance(value, (int, float)) else (False, -float(value))

    return sorted(range(len(rows)), key=place)


def _link(row: RunRow, path: str) -> str | None:
    return quote(f"{path}/report.html") if (row.folder / "report.html").is_file() else None


def _encode_curves(curves: RunCurves) -> dict[str, Any]:
    return {
        "kinds": [{"key": k.key, "name": k.name, "unit": k.unit, "x": k.x} for k in curves.kinds],
        "grids": [[number(round(x, 6)) for x in grid] for grid in curves.grids],
        "runs": [[run, *parts] for run, parts in curves.runs],
        "left_out": curves.left_out,
        "broken": curves.broken,
    }
