"""The norms of the layers of an ordinary network: during the training, and of the weights that were kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from onelip.experiments.report.charts import Axis, Chart, Series, make_chart
from onelip.experiments.report.numbers import plain_text, shape_text, share_text
from onelip.experiments.report.record import RunRecord

ROOM = 1.06
"""Axes reach this much beyond the last value."""

MODES = {
    "wBN": "batch normalisations kept, not clipped",
    "noBN": "no batch normalisation",
    "clipBN": "batch normalisations clipped by their running variance",
    "joint": "each convolution clipped together with the batch normalisation after it",
}


def norms_section(record: RunRecord) -> Mapping[str, Any] | None:
    """Collect what the page shows of the norms of a network's layers.

    Args:
        record: What the run has recorded.

    Returns:
        A text, charts and the rows of a table; None for runs that were trained for a certificate.
    """
    if not record.ordinary:
        return None
    results = record.results or {}
    charts = [checks_chart(record), parts_chart(record)]
    return {
        "text": _text(results),
        "charts": [chart for chart in charts if chart is not None],
        "rows": [
            {
                "name": row["name"],
                "kind": row["kind"],
                "shape": shape_text(tuple(row["input_shape"])),
                "norm": f"{row['values'][0]:.4f}",
            }
            for row in results.get("spectrum", ())
        ],
    }


def attack_rows(record: RunRecord) -> list[Mapping[str, str]] | None:
    """Tabulate what is left of the accuracy of an ordinary network under attack.

    Args:
        record: What the run has recorded.

    Returns:
        One row for each attack and radius; None for runs that were trained for a certificate.
    """
    if not record.ordinary:
        return None
    return [
        {"attack": name, "radius": radius, "accuracy": share_text(share)}
        for name, attack in (record.results or {}).get("attacks", {}).items()
        for radius, share in attack["accuracy"].items()
    ]


def norm_tiles(record: RunRecord) -> list[tuple[str, str, str]]:
    """Collect the headline numbers about norms.

    Args:
        record: What the run has recorded.

    Returns:
        Name, value and small print of each; none for runs that were trained for a certificate.
    """
    results = record.results
    if results is None or not record.ordinary:
        return []
    clipping = results["clipping"]
    method = "none" if clipping is None else str(clipping["method"])
    detail = f"to {plain_text(clipping['max_norm'])}, {results['mode']}" if method != "none" else str(results["mode"])
    tiles = [("clipping", method, detail)]
    if results["largest_norm_at_checks"] is not None:
        n = results["checks"]
        checks = f"at {n} check{'s' if n != 1 else ''} of the training"
        tiles.append(("largest norm", f"{results['largest_norm_at_checks']:.4f}", checks))
    return tiles


def checks_chart(record: RunRecord) -> Chart | None:
    """Draw the largest, the median and the smallest norm against the step.

    Args:
        record: What the run has recorded.

    Returns:
        The chart, or None without checks.
    """
    checks: dict[int, list[float]] = {}
    for row in record.norms:
        checks.setdefault(row["step"], []).append(row["value"])
    if not checks:
        return None
    steps = sorted(checks)
    lines = [
        Series(name, look, [(float(step), choose(checks[step])) for step in steps])
        for name, look, choose in (
            ("largest", "validation", max),
            ("median", "certified", median),
            ("smallest", "train", min),
        )
    ]
    low, high = float(steps[0]), float(steps[-1])
    x = Axis("step", low, high, whole=True) if high > low else Axis("step", low - 0.5, low + 0.5, whole=True)
    largest = max(max(values) for values in checks.values())
    description = f"Norms of {len(checks[steps[-1]])} parts at {len(steps)} checks; the largest is {largest:.4g}."
    return _chart("During the training", description, x, lines, record)


def parts_chart(record: RunRecord) -> Chart | None:
    """Draw the norm of each part of the weights that were kept, in order of execution.

    Args:
        record: What the run has recorded.

    Returns:
        The chart, or None without results.
    """
    rows: Sequence[Mapping[str, Any]] = (record.results or {}).get("spectrum", ())
    if not rows:
        return None
    values = [(float(i), float(row["values"][0]), "BatchNorm" in row["kind"]) for i, row in enumerate(rows, start=1)]
    # A value that is not finite interrupts the line, so each kind shows as dots at its own places.
    lines = [
        Series(name, look, [(x, y if norm is of_norm else math.nan) for x, y, of_norm in values], dots=True)
        for name, look, norm in (
            ("convolutions and dense layers", "certified", False),
            ("batch normalisations", "attacked", True),
        )
        if any(of_norm is norm for _, _, of_norm in values)
    ]
    x = Axis("part, from input to output", 0.5, len(values) + 0.5, whole=True)
    description = f"Largest singular values of {len(values)} parts, from {min(v for _, v, _ in values):.4g} to "
    description += f"{max(v for _, v, _ in values):.4g}."
    return _chart("Of the weights that were kept", description, x, lines, record)


def _chart(title: str, description: str, x: Axis, lines: list[Series], record: RunRecord) -> Chart:
    clipping = (record.results or {}).get("clipping")
    if clipping is not None:
        limit = float(clipping["max_norm"])
        lines = [*lines, Series("what is clipped to", "clean", [(x.low, limit), (x.high, limit)])]
    high = max(y for line in lines for _, y in line.points if math.isfinite(y))
    y = Axis("largest singular value", 0.0, high * ROOM if high > 0 else 1.0)
    return make_chart(title, description, (x, y), lines)


def _text(results: Mapping[str, Any]) -> str:
    text = "The largest singular value of each part as it is run, at the size of its input: measured, not proved. "
    clipping = results.get("clipping")
    if clipping is None:
        return f"{text}No method kept them small."
    mode = MODES.get(str(results["mode"]), str(results["mode"]))
    options = {k: v for k, v in clipping.items() if k not in ("method", "max_norm", "batch_norm", "check_every")}
    how = "".join(f", {name} {value}" for name, value in options.items())
    return f"{text}Method: {clipping['method']}, norms up to {plain_text(clipping['max_norm'])}{how}; {mode}."
