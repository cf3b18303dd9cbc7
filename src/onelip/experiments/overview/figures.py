"""The figures of the page over many runs as files: curves, certified accuracy, accuracy against time, and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onelip.experiments.errors import as_user_errors
from onelip.experiments.overview.columns import Column, score_column, table_columns
from onelip.experiments.overview.curves import FIRST, RunCurves, collect_curves
from onelip.pictures import OverlayCurves, ParetoPlot, RadarPlot

if TYPE_CHECKING:
    from onelip.experiments.collection.rows import RunRow

FOLDER = "pictures"
FORMATS = ("png", "svg")

MOST_GROUPS = 12
"""More lines than these are not told apart."""

MOST_RUNS = 1000
"""Curves of so many runs are read."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        folder: Where the files are.
        names: Of the figures, without endings.
        skipped: One line for each figure that was left out or shows a part, with the reason.
    """

    folder: Path
    names: tuple[str, ...]
    skipped: tuple[str, ...]


def write_figures(rows: Sequence[RunRow], folder: Path, radar: RadarPlot | None = None) -> Drawn:
    """Draw what finished runs have in common as PNG and SVG.

    Runs that differ in the seed alone are a group, drawn as its mean and a band from its lowest to its highest curve.

    Args:
        rows: The runs.
        folder: The figures go into `pictures` in it; files there of the same names are replaced.
        radar: Scores, or None.

    Returns:
        What was drawn, and what was not.
    """
    columns = table_columns(rows)
    score = score_column(columns)
    groups, cut = group_runs(rows, columns, score)
    order = [k for members in groups.values() for k in members]
    curves = collect_curves(rows, order, MOST_RUNS)
    plots: dict[str, Callable[[Path], None]] = {}
    skipped = [cut] if cut else []
    for name, found in (
        ("learning-curves", _learning(groups, curves)),
        ("certified-accuracy", _certified(groups, curves)),
        ("pareto", _pareto(groups, columns, score)),
    ):
        if isinstance(found, str):
            skipped.append(f"{name} left out: {found}")
        else:
            plots[name] = found.save
    if radar is not None:
        plots["radar"] = radar.save
    where = folder / FOLDER
    with as_user_errors():
        where.mkdir(exist_ok=True)
        for name, save in plots.items():
            for ending in FORMATS:
                save(where / f"{name}.{ending}")
    return Drawn(where, tuple(plots), tuple(skipped))


def group_runs(
    rows: Sequence[RunRow], columns: Sequence[Column], score: Column | None
) -> tuple[dict[str, list[int]], str]:
    """Group finished runs that differ in the seed alone.

    Args:
        rows: All runs.
        columns: Those of their table.
        score: What groups are ranked by; without one they stay in order.

    Returns:
        Places of the runs by the name of the group, which is what it differs in, of the best groups in order; and a
        sentence about those that were left out, or nothing.
    """
    finished = [k for k, row in enumerate(rows) if row.status == "finished"]
    seedless = [c for c in columns if c.group in ("factor", "parameter") and c.key != "seed"]
    levels = {c.key: tuple(c.values[k] for k in finished) for c in seedless}
    # A factor of a sweep often says what the configuration says, too.
    first = {values: key for key, values in reversed(levels.items())}
    varied = [c for c in seedless if len(set(levels[c.key])) > 1 and first[levels[c.key]] == c.key]
    groups: dict[str, list[int]] = {}
    for k in finished:
        groups.setdefault(_name(varied, k), []).append(k)
    best = sorted(groups, key=lambda name: -_mean(score, groups[name]))[:MOST_GROUPS]
    kept = [name for name in groups if name in set(best)] if len(groups) <= MOST_GROUPS else best
    part = len(groups) - len(kept)
    by = "" if score is None else f", the best by {score.name}"
    cut = f"figures show {len(kept)} of {len(groups)} groups of runs{by}" if part else ""
    return {name: groups[name] for name in kept}, cut


def _name(columns: Sequence[Column], k: int) -> str:
    parts = []
    for column in columns:
        value = column.values[k]
        if value is not None:
            parts.append(value if isinstance(value, str) else f"{column.name} {value:.4g}")
    return " · ".join(parts) or "all runs"


def _mean(score: Column | None, members: Sequence[int]) -> float:
    known = [float(v) for v in (score.values[k] for k in members) if isinstance(v, (int, float))] if score else []
    return sum(known) / len(known) if known else 0.0


def _curves_of(groups: Mapping[str, Sequence[int]], curves: RunCurves, key: str) -> dict[str, list[list[Point]]]:
    kind = next((k for k, one in enumerate(curves.kinds) if one.key == key), None)
    found = {
        run: list(zip(curves.grids[grid], values, strict=True))
        for run, parts in curves.runs
        for which, grid, values in parts
        if which == kind
    }
    each = {name: [found[k] for k in members if k in found] for name, members in groups.items()}
    return {name: lines for name, lines in each.items() if lines}


def _learning(groups: Mapping[str, Sequence[int]], curves: RunCurves) -> OverlayCurves | str:
    kind = next((k for k in curves.kinds if k.x == "epoch" and k.key in FIRST), None)
    lines = {} if kind is None else _curves_of(groups, curves, kind.key)
    if kind is None or not lines:
        return "no finished run has recorded accuracies or losses of its epochs"
    return OverlayCurves(lines, y_label=kind.name, percent=kind.unit == "share")


def _certified(groups: Mapping[str, Sequence[int]], curves: RunCurves) -> OverlayCurves | str:
    kind = next((k for k in curves.kinds if k.key.startswith("certified:")), None)
    lines = {} if kind is None else _curves_of(groups, curves, kind.key)
    if kind is None or not lines:
        return "no finished run has a certificate with a proved constant"
    return OverlayCurves(lines, f"{kind.key.partition(':')[2]} radius", "certified accuracy")


def _pareto(groups: Mapping[str, Sequence[int]], columns: Sequence[Column], score: Column | None) -> ParetoPlot | str:
    seconds = next((c for c in columns if c.key == "train_seconds"), None)
    if seconds is None or score is None:
        return "no finished run has both a training time and an accuracy"
    points: dict[str, list[Point]] = {}
    for name, members in groups.items():
        pairs = [(seconds.values[k], score.values[k]) for k in members]
        both = [(float(x), float(y)) for x, y in pairs if isinstance(x, (int, float)) and isinstance(y, (int, float))]
        if both:
            points[name] = both
    if not points:
        return "no finished run has both a training time and an accuracy"
    return ParetoPlot(points, y_label=score.name, percent=score.unit == "share")
