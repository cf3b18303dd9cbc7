"""Curves of many runs, thinned out: learning curves, and certified accuracy against the radius."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onelip.experiments.errors import UserError
from onelip.experiments.overview.columns import Unit, readable_name
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder
from onelip.pictures.accuracy import ROOM

if TYPE_CHECKING:
    from onelip.experiments.collection.rows import RunRow

POINTS = 60
"""A curve has at most so many points."""

FIRST = ("val_certified_accuracy", "val_accuracy", "val_loss", "train_accuracy", "train_loss")
"""Columns of `metrics.csv` in the order in which they are offered; others follow."""

NOT_DRAWN = ("epoch", "seconds", "minutes", "learning_rate")

TIME = "seconds"
"""The curve of the time since the beginning, against which the others can be drawn."""

Point = tuple[float, float]


@dataclass(frozen=True)
class CurveKind:
    """What a curve shows.

    Attributes:
        key: A column of `metrics.csv`; or "certified:NORM" or "estimate:NORM".
        name: What readers see.
        unit: How its values are written.
        x: "epoch" or "radius".
    """

    key: str
    name: str
    unit: Unit
    x: str


@dataclass(frozen=True)
class RunCurves:
    """Curves of some runs.

    Attributes:
        kinds: What there is.
        grids: Horizontal places that curves share.
        runs: Place of the run among all, and its curves: kind, grid, and values as they are.
        left_out: How many runs have been left out, as there were too many.
        broken: How many runs have files that cannot be used.
    """

    kinds: tuple[CurveKind, ...]
    grids: tuple[tuple[float, ...], ...]
    runs: tuple[tuple[int, tuple[tuple[int, int, tuple[float, ...]], ...]], ...]
    left_out: int = 0
    broken: int = 0


def collect_curves(rows: Sequence[RunRow], order: Sequence[int], most: int) -> RunCurves:
    """Read the curves of some runs.

    If there are too many, those of the best run of each combination of factors, seeds aside, come first, then the
    second best ones, and so on: so none of what is compared is left out before the rest is thinned out.

    Args:
        rows: All runs.
        order: Their places, the best first.
        most: Curves of at most so many runs.

    Returns:
        The curves.
    """
    recorded = [k for k in order if _has_curves(RunFolder(rows[k].folder))]
    chosen = choose_runs(rows, recorded, most)
    found: dict[int, dict[str, list[Point]]] = {}
    radii: dict[int, tuple[str, npt.NDArray[np.float64]]] = {}
    broken = 0
    for k in chosen:
        try:
            found[k] = learning_points(RunFolder(rows[k].folder))
            certified = certified_radii(rows[k])
        except (OSError, ValueError, KeyError, TypeError, UserError):
            # Which is the row's error already, or for `onelip verify` to say.
            broken += 1
            continue
        if certified is not None:
            radii[k] = certified
    for k, curves in radius_points(rows, radii).items():
        found[k] |= curves
    return _pooled(found, len(recorded) - len(chosen), broken)


def _has_curves(folder: RunFolder) -> bool:
    return folder.metrics_file.is_file() or folder.certificate_file.is_file()


def choose_runs(rows: Sequence[RunRow], order: Sequence[int], most: int) -> list[int]:
    """Choose whose curves are shown.

    Args:
        rows: All runs.
        order: Places of those that have curves, the best first.
        most: How many at most.

    Returns:
        Places, in ascending order.
    """
    if len(order) <= most:
        return sorted(order)
    seen: defaultdict[tuple[Any, ...], int] = defaultdict(int)
    ranked = []
    for place, k in enumerate(order):
        cell = tuple(sorted((name, str(level)) for name, level in rows[k].factors.items() if name != "seed"))
        ranked.append((seen[cell], place, k))
        seen[cell] += 1
    return sorted(k for _, _, k in sorted(ranked)[:most])


def learning_points(folder: RunFolder) -> dict[str, list[Point]]:
    """Read how a training went.

    Args:
        folder: The run.

    Returns:
        (epoch, value) by column, at most `POINTS` of each, and the seconds since the beginning as `TIME`; empty
        without a file.
    """
    if not folder.metrics_file.exists():
        return {}
    rows = [row for row in read_metrics(folder) if "epoch" in row]
    columns = dict.fromkeys(name for row in rows for name in row if name not in NOT_DRAWN)
    curves = {name: [(row["epoch"] + 1, row[name]) for row in rows if name in row] for name in columns}
    if all("seconds" in row for row in rows):
        total = accumulate(row["seconds"] for row in rows)
        curves[TIME] = [(row["epoch"] + 1, seconds) for row, seconds in zip(rows, total, strict=True)]
    finite = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in curves.items()}
    return {name: thinned(points) for name, points in finite.items() if points}


def thinned(points: Sequence[Point], most: int = POINTS) -> list[Point]:
    """Leave out points, evenly; the first and the last stay.

    Args:
        points: Of a curve.
        most: How many may stay, at least 2.

    Returns:
        At most so many.
    """
    if len(points) <= most:
        return list(points)
    return [points[k] for k in np.linspace(0, len(points) - 1, most).round().astype(int)]


def certified_radii(row: RunRow) -> tuple[str, npt.NDArray[np.float64]] | None:
    """Read the certified radius of every sample from a run's certificate, as it stands there.

    Args:
        row: The run.

    Returns:
        What the curve is called, and the radii, 0 where the answer is wrong; None without a certificate.
    """
    file = RunFolder(row.folder).certificate_file
    if not file.exists():
        return None
    content = json.loads(file.read_text("utf-8"))
    kind = "certified" if content["lipschitz"]["proved"] else "estimate"
    values = [float.fromhex(r) if isinstance(r, str) else float(r) for r in content["radii"]]
    return f"{kind}:{content['norm']}", np.sort(np.array(values, dtype=np.float64))


def radius_points(
    rows: Sequence[RunRow], radii: Mapping[int, tuple[str, npt.NDArray[np.float64]]]
) -> dict[int, dict[str, list[Point]]]:
    """Count the samples certified beyond radii that runs of the same data and norm share.

    Args:
        rows: All runs.
        radii: Kind of curve, and ascending radii of the samples, of some of them by place.

    Returns:
        (radius, share) of each of them; every share is that of its radius, not of any in between.
    """
    limits: defaultdict[tuple[str, str], float] = defaultdict(float)
    for k, (kind, values) in radii.items():
        inside = values[(values > 0) & np.isfinite(values)]
        if len(inside):
            group = kind, str(rows[k].factors.get("data"))
            limits[group] = max(limits[group], float(np.quantile(inside, 0.99)))
    curves = {}
    for k, (kind, values) in radii.items():
        limit = ROOM * limits[kind, str(rows[k].factors.get("data"))] or 1.0
        grid = np.linspace(0.0, limit, POINTS)
        shares = 1 - np.searchsorted(values, grid, side="right") / max(len(values), 1)
        curves[k] = {kind: list(zip(grid.tolist(), shares.tolist(), strict=True))}
    return curves


def _pooled(found: Mapping[int, Mapping[str, Sequence[Point]]], left_out: int, broken: int) -> RunCurves:
    keys = sorted({key for curves in found.values() for key in curves}, key=_place)
    kinds = tuple(_kind(key) for key in keys)
    grids: dict[tuple[float, ...], int] = {}
    runs = []
    for k, curves in found.items():
        parts = []
        for key, points in curves.items():
            x, y = zip(*points, strict=True)
            parts.append((keys.index(key), grids.setdefault(x, len(grids)), y))
        if parts:
            runs.append((k, tuple(parts)))
    return RunCurves(kinds, tuple(grids), tuple(runs), left_out, broken)


def _place(key: str) -> tuple[int, str]:
    return FIRST.index(key) if key in FIRST else len(FIRST), key


def _kind(key: str) -> CurveKind:
    kind, _, norm = key.partition(":")
    if norm:
        name = "certified accuracy" if kind == "certified" else "accuracy if the ESTIMATED constant held"
        return CurveKind(key, f"{name} ({norm})", "share", "radius")
    unit: Unit = "share" if key.endswith("accuracy") else "seconds" if key == TIME else "plain"
    return CurveKind(key, readable_name(key), unit, "epoch")
