"""One row of a network's spectrum, and the forms in which rows are written down."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerSpectrum:
    """The largest singular values of one affine part of a network.

    Attributes:
        name: Qualified name of its module; of two, joined by " + ", if they are one part.
        kind: Type of its module.
        weight_shape: Shape of its (first) weight; None if it has none.
        stride: Of a convolution, one for each axis; None for others, as with the next three.
        padding: Likewise, or torch's word for it.
        dilation: Likewise.
        groups: Number of groups.
        input_shape: Shape of one input, as the network gives it.
        output_shape: Shape of one output.
        values: Falling; fewer than were asked for if the part has fewer. NaN where weights are not finite.
        converged: Are they within the tolerance?
        exact: Do they come from a closed form instead of an iteration?
    """

    name: str
    kind: str
    weight_shape: Shape | None
    stride: Shape | None
    padding: Shape | str | None
    dilation: Shape | None
    groups: int | None
    input_shape: Shape
    output_shape: Shape
    values: tuple[float, ...]
    converged: bool
    exact: bool = False

    @property
    def largest(self) -> float:
        """The norm of the part."""
        return self.values[0]

    @property
    def options(self) -> str:
        """What is not as in a plain convolution, in words."""
        named = {"stride": (self.stride, 1), "padding": (self.padding, 0), "dilation": (self.dilation, 1)}
        given = [f"{name} {_sides_text(value)}" for name, (value, usual) in named.items() if _differs(value, usual)]
        return ", ".join([*given, *([f"groups {self.groups}"] if self.groups not in (None, 1) else [])])


def labels(rows: Sequence[LayerSpectrum]) -> list[str]:
    """Name rows so that no two are alike, since a module may run at several shapes.

    Args:
        rows: The rows.

    Returns:
        The name of each, with the input shape if another has the same.
    """
    names = [row.name or "(model)" for row in rows]
    shaped = [f"{n} at {shape_text(r.input_shape)}" for n, r in zip(names, rows, strict=True)]
    texts = [s if names.count(n) > 1 else n for n, s in zip(names, shaped, strict=True)]
    return [f"{t} #{texts[:i].count(t) + 1}" if texts.count(t) > 1 else t for i, t in enumerate(texts)]


HEADER = ("name", "kind", "weight", "options", "input", "output", "singular values")


def cells(rows: Sequence[LayerSpectrum]) -> list[tuple[str, ...]]:
    """Write rows as text.

    Args:
        rows: The rows.

    Returns:
        One cell for each column of `HEADER`; values that did not converge are marked with a star.
    """
    return [
        (
            label,
            row.kind,
            "" if row.weight_shape is None else shape_text(row.weight_shape),
            row.options,
            shape_text(row.input_shape),
            shape_text(row.output_shape),
            "  ".join(f"{value:#.5g}{'' if row.converged else '*'}" for value in row.values),
        )
        for label, row in zip(labels(rows), rows, strict=True)
    ]


def as_table(rows: Sequence[LayerSpectrum]) -> list[str]:
    """Align rows under a header.

    Args:
        rows: The rows.

    Returns:
        The lines.
    """
    lines = [HEADER, *cells(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def as_markdown(rows: Sequence[LayerSpectrum]) -> list[str]:
    """Write rows as a table of Markdown.

    Args:
        rows: The rows.

    Returns:
        The lines.
    """
    marks = [":--"] * (len(HEADER) - 1) + ["--:"]
    escaped = [[cell.replace("*", "\\*") for cell in line] for line in cells(rows)]
    return [f"| {' | '.join(line)} |" for line in (HEADER, marks, *escaped)]


def as_csv(rows: Sequence[LayerSpectrum]) -> str:
    """Write rows as comma-separated values, one column for each singular value.

    Args:
        rows: The rows.

    Returns:
        The text, with a header; shapes as 3x32x32, empty where there is nothing.
    """
    n_values = max((len(row.values) for row in rows), default=0)
    text = io.StringIO()
    fields = [*(key for key in _COLUMNS), *(f"sigma_{i}" for i in range(1, n_values + 1))]
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    for label, row in zip(labels(rows), rows, strict=True):
        record = {key: _plain_text(getattr(row, key)) for key in _COLUMNS} | {"name": label}
        writer.writerow(record | {f"sigma_{i}": f"{v:.10g}" for i, v in enumerate(row.values, start=1)})
    return text.getvalue()


_COLUMNS = (
    "name", "kind", "weight_shape", "stride", "padding", "dilation", "groups", "input_shape", "output_shape",
    "converged", "exact",
)  # fmt: skip


def as_record(label: str, row: LayerSpectrum) -> dict[str, Any]:
    """Write a row for JSON, which has no NaN.

    Args:
        label: Its name among the rows.
        row: The row.

    Returns:
        Plain values by name.
    """
    values = [value if math.isfinite(value) else None for value in row.values]
    return {**{key: getattr(row, key) for key in _COLUMNS}, "name": label, "values": values}


def as_json(rows: Sequence[LayerSpectrum], facts: dict[str, Any]) -> str:
    """Write rows as JSON.

    Args:
        rows: The rows.
        facts: What else is to be told.

    Returns:
        The text.
    """
    records = [as_record(label, row) for label, row in zip(labels(rows), rows, strict=True)]
    return json.dumps({**facts, "layers": records}, indent=2, allow_nan=False) + "\n"


def shape_text(shape: Shape) -> str:
    """Write a shape.

    Args:
        shape: Such as (3, 32, 32).

    Returns:
        Such as 3x32x32.
    """
    return "x".join(map(str, shape)) if shape else "scalar"


def _differs(value: Shape | str | None, usual: int) -> bool:
    return isinstance(value, str) or (value is not None and any(n != usual for n in value))


def _sides_text(value: Shape | str | None) -> str:
    if value is None or isinstance(value, str):
        return str(value)
    return str(value[0]) if len(set(value)) == 1 else shape_text(value)


def _plain_text(value: object) -> str:
    if value is None:
        return ""
    return shape_text(value) if isinstance(value, tuple) else str(value)
