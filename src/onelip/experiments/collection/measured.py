"""What came of a run, as one flat mapping of names to numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_TAKEN = {
    "certified",
    "attacked",
    "attacks",
    "relaxation",
    "start",
    "spectrum",
    "machine",
    "weights",
    "clipping",
    "seed",
}
"""Entries of `results.json` that have a name of their own here, or say what the run was given."""

_NAMES = {
    "frechet.squared_distance": "frechet_sq",
    "lipschitz_bound.value": "lipschitz_bound",
    "lipschitz_bound.proved": "lipschitz_proved",
    "critic_constant.value": "lipschitz_bound",
    "critic_constant.proved": "lipschitz_proved",
    "critic_gradients.largest": "critic_gradient_largest",
    "wasserstein1.lower_bound": "lower_bound",
    "wasserstein1.standard_error": "standard_error",
    "wasserstein1.discrete": "discrete.exact",
}
"""The same quantity has one name, whatever the task."""


def values_of_results(results: Mapping[str, Any]) -> dict[str, float]:
    """Flatten what `results.json` holds.

    Args:
        results: Its mapping.

    Returns:
        Numbers by name: "accuracy", "certified@0.25", "attacked@0.25", "attacked-pgd-l2@0.25", "relaxed@0.25",
        "lipschitz_bound", "lower_bound" and so on; numbers inside of others by the path, with dots. Parts of a network
        are summed up as "largest_singular_value", and by kind as "largest_singular_value-conv2d".
    """
    values: dict[str, float] = {}
    _flatten({key: value for key, value in results.items() if key not in _TAKEN}, "", values)
    for key, name in (("certified", "certified"), ("attacked", "attacked")):
        _at_radii(results.get(key), name, values)
    for attack, one in (results.get("attacks") or {}).items():
        _at_radii(one.get("accuracy"), f"attacked-{attack}", values)
        _put(values, f"never_changed-{attack}", one.get("never_changed"))
    relaxed = results.get("relaxation") or {}
    _at_radii(relaxed.get("certified"), "relaxed", values)
    _put(values, "relaxed_seconds", relaxed.get("seconds"))
    _flatten(results.get("start") or {}, "start.", values)
    if "n_parameters.critic" in values:
        values["n_parameters"] = values["n_parameters.critic"] + values["n_parameters.generator"]
    if isinstance(spectrum := results.get("spectrum"), Sequence):
        values |= _largest(spectrum)
    return values


def values_of_metrics(columns: Sequence[str], rows: Sequence[Sequence[str]], kept: int | None) -> dict[str, float]:
    """Collect what the rows of `metrics.csv` say of a whole run.

    Args:
        columns: Its first line.
        rows: The other ones.
        kept: The epoch whose weights the run keeps, from 0; None for none.

    Returns:
        Columns that begin with "val_", of the kept epoch, and "epochs", "train_seconds" and "seconds_per_epoch", the
        median.
    """
    values: dict[str, float] = {"epochs": float(len(rows))}
    if "epoch" in columns and kept is not None:
        at = columns.index("epoch")
        row = next((row for row in reversed(rows) if float(row[at]) == kept), ())
        values |= {c: float(v) for c, v in zip(columns, row, strict=False) if c.startswith("val_") and v != ""}
    if "seconds" in columns and rows:
        at = columns.index("seconds")
        seconds = sorted(float(row[at]) for row in rows if row[at] != "")
        values["train_seconds"] = round(sum(seconds), 3)
        if seconds:
            middle = len(seconds) // 2
            values["seconds_per_epoch"] = (seconds[middle] + seconds[~middle]) / 2
    return values


def kept_epoch(columns: Sequence[str], rows: Sequence[Sequence[str]], weights: str | None) -> int | None:
    """Say which epoch's weights a run keeps that has no results yet; the rule is that of `Recorder`.

    Args:
        columns: The first line of `metrics.csv`.
        rows: The other ones.
        weights: "best" or "last".

    Returns:
        The epoch, counted from 0; None if none was validated.
    """
    best: tuple[tuple[float, ...], int] | None = None
    for row in rows:
        one = dict(zip(columns, row, strict=False))
        score = tuple(float(one[c]) for c in ("val_certified_accuracy", "val_accuracy") if one.get(c, "") != "")
        if score and (weights == "last" or best is None or score >= best[0]):
            best = (score, int(float(one["epoch"])))
    return None if best is None else best[1]


def _flatten(tree: Mapping[str, Any], prefix: str, values: dict[str, float]) -> None:
    for key, value in tree.items():
        path = prefix + key
        if isinstance(value, Mapping):
            _flatten(value, f"{path}.", values)
        else:
            _put(values, _NAMES.get(path, path), value)


def _put(values: dict[str, float], name: str, value: Any) -> None:
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        values[name] = float(value)


def _at_radii(shares: Any, name: str, values: dict[str, float]) -> None:
    for radius, share in (shares or {}).items():
        _put(values, f"{name}@{radius}", share)


def _largest(spectrum: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    largest: dict[str, float] = {}
    for row in spectrum:
        for name in ("largest_singular_value", f"largest_singular_value-{row['kind']}"):
            largest[name] = max(largest.get(name, 0.0), float(row["values"][0]))
    return largest
