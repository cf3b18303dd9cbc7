"""Runs as rows: what each was given, what came of it, and whether it ended."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onelip.experiments.collection.config_text import ConfigText
from onelip.experiments.collection.factors import SHOWN, Factor, factors_of
from onelip.experiments.collection.finding import CONFIG, TRIAL, find_runs
from onelip.experiments.collection.measured import kept_epoch, values_of_metrics, values_of_results
from onelip.experiments.config_kinds import CLASSIFICATION
from onelip.experiments.errors import UserError, one_line

_STATES = {"complete": "finished", "pruned": "pruned", "failed": "failed"}


@dataclass(frozen=True)
class RunRow:
    """One run.

    Attributes:
        folder: The run's folder.
        name: Name of its configuration.
        task: "classification", "wasserstein" or "gan".
        factors: What runs differ in: "data", "model", "layer", "activation", "loss", "optimizer", "seed" and other
            parts of the configuration, then those of the sweep that it belongs to, under their own names.
        values: Numbers: "accuracy", "certified@0.25", "lipschitz_bound", "train_seconds" and so on, all that
            `results.json` holds, and columns of `metrics.csv` that begin with "val_", of the epoch that is kept.
        status: "finished", "failed", "pruned" or "unfinished".
        error: Why it failed, in one sentence; else empty.
        stage: "search" or "final" of a sweep; else empty.
        params: Hyper-parameters that a search drew.
        configured: All that the configuration says in this way, without the sweep.
        goal: "maximize" or "minimize" the value "objective" of a trial; else empty.
    """

    folder: Path
    name: str
    task: str
    factors: Mapping[str, Factor]
    values: Mapping[str, float]
    status: str
    error: str
    stage: str
    params: Mapping[str, Factor]
    configured: Mapping[str, Factor] = field(default_factory=dict)
    goal: str = ""


def collect(paths: Sequence[str | Path]) -> list[RunRow]:
    """Read all runs at or below some folders; what cannot be read of a run becomes its error.

    Args:
        paths: Folders of runs, or folders that hold some.

    Returns:
        One row for each run, sorted by folder.

    Raises:
        UserError: If there is no run, or a path is no folder.
    """
    return [_row(folder) for folder in find_runs(paths)]


def curve(row: RunRow, column: str) -> list[tuple[float, float]]:
    """Read one column of a run's `metrics.csv`.

    Args:
        row: The run.
        column: Its name.

    Returns:
        Pairs of epoch and value, of epochs in which it was measured; empty if there is no such column or file.
    """
    try:
        columns, rows = _metrics(row.folder)
        if column not in columns or "epoch" not in columns:
            return []
        x, y = columns.index("epoch"), columns.index(column)
        return [(float(one[x]), float(one[y])) for one in rows if one[y] != ""]
    except (OSError, ValueError):
        # Which is the row's error already.
        return []


class _Reader:
    # Collects what is wrong with the files of one run.
    def __init__(self, folder: Path) -> None:
        self.folder, self.errors = folder, list[str]()

    def json(self, name: str) -> Mapping[str, Any]:
        try:
            tree = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self.errors.append(f"{name} cannot be read: {one_line(str(error))}")
            return {}
        if isinstance(tree, Mapping):
            return tree
        self.errors.append(f"{name} is not a mapping of keys to values")
        return {}


def _row(folder: Path) -> RunRow:
    reader = _Reader(folder)
    trial, results, failure = (reader.json(name) for name in (TRIAL, "results.json", "failure.json"))
    name, task, configured, weights = _configured(reader)
    values = _values(reader, results, weights)
    for key, own in (("value", "objective"), ("seconds", "trial_seconds")):
        if isinstance(trial.get(key), (int, float)):
            values[own] = float(trial[key])
    if isinstance(results.get("mode"), str):
        configured["mode"] = results["mode"]
    factors = {k: configured[k] for k in (*SHOWN, "mode") if k in configured}
    factors |= {k: v for k, v in _mapping(trial, "factors").items() if k != "seed" or "seed" not in configured}
    status, error = _status(trial, bool(results), failure, reader.errors)
    stage, goal = str(trial.get("stage", "")), str(trial.get("goal", ""))
    return RunRow(
        folder, name, task, factors, values, status, error, stage, _mapping(trial, "params"), configured, goal
    )


def _configured(reader: _Reader) -> tuple[str, str, dict[str, Factor], str | None]:
    fallback = reader.folder.parent.name
    try:
        text = ConfigText((reader.folder / CONFIG).read_text("utf-8"), CONFIG)
        task = str(text.get("task") or CLASSIFICATION)
        weights = text.get("certify", "weights")
        return str(text.get("name") or fallback), task, factors_of(text, task), weights
    except FileNotFoundError:
        # A trial that failed before.
        return fallback, CLASSIFICATION, {}, None
    except (OSError, ValueError, TypeError, UserError) as error:
        reader.errors.append(f"{CONFIG} cannot be read: {one_line(str(error))}")
        return fallback, CLASSIFICATION, {}, None


def _values(reader: _Reader, results: Mapping[str, Any], weights: str | None) -> dict[str, float]:
    try:
        columns, rows = _metrics(reader.folder)
        epoch = _mapping(results, "weights").get("epoch")
        kept = kept_epoch(columns, rows, weights) if epoch is None else int(epoch) - 1
        values = values_of_metrics(columns, rows, kept) if columns else {}
    except (OSError, ValueError, IndexError, KeyError) as error:
        reader.errors.append(f"metrics.csv cannot be read: {one_line(str(error))}")
        values = {}
    try:
        return values | values_of_results(results)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        reader.errors.append(f"results.json is not the results of a run: {one_line(str(error))}")
        return values


# Without a last row that was cut short.
def _metrics(folder: Path) -> tuple[list[str], list[list[str]]]:
    try:
        text = (folder / "metrics.csv").read_text("utf-8")
    except FileNotFoundError:
        return [], []
    lines = [*csv.reader(text[: text.rfind("\n") + 1].splitlines())]
    return (lines[0], lines[1:]) if lines else ([], [])


def _status(
    trial: Mapping[str, Any], has_results: bool, failure: Mapping[str, Any], errors: Sequence[str]
) -> tuple[str, str]:
    if errors:
        return "failed", "; ".join(errors)
    if trial.get("state") in _STATES:
        state = _STATES[str(trial["state"])]
        return state, one_line(str(trial.get("error", ""))) if state == "failed" else ""
    if has_results:
        return "finished", ""
    if failure:
        return "failed", one_line(
            str(failure.get("message", "the training stopped, and failure.json does not say why"))
        )
    return "unfinished", ""


def _mapping(tree: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key)
    return dict(found) if isinstance(found, Mapping) else {}
