"""How a sweep stands: in one line while it runs, and cell by cell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onelip.experiments.console import say
from onelip.experiments.sweep.creation import best_params
from onelip.experiments.sweep.files import Stage
from onelip.experiments.sweep.spec import SEED, Cell, SweepSpec
from onelip.experiments.sweep.study import Goal, State, StoredTrial

_STATES: tuple[State, ...] = ("complete", "pruned", "failed", "running", "waiting")


def counts_in_words(trials: Sequence[StoredTrial]) -> str:
    """Count trials by how far they are.

    Args:
        trials: The trials.

    Returns:
        Such as "12 complete, 2 running of 24".
    """
    counts = Counter(trial.state for trial in trials)
    return ", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state]) + f" of {len(trials)}"


def show_status(spec: SweepSpec, stage: Stage, trials: Sequence[StoredTrial], metric: str, goal: Goal) -> None:
    """Print a table of the cells, and every trial that failed.

    Args:
        spec: The sweep.
        stage: Which stage.
        trials: Its trials.
        metric: What they are compared by.
        goal: What is good of it.
    """
    table = Table(box=None, pad_edge=False)
    names = [name for name in spec.section.factors if stage == "search" or name != SEED]
    best = "best" if stage == "search" else "mean"
    for column in (*names, "trials", f"{best} {metric}", *(["with"] if spec.distributions else [])):
        table.add_column(column, overflow="fold")
    for labels, of_cell in _by_cell(trials).items():
        values = [t.value for t in of_cell if t.state == "complete" and t.value is not None]
        cell = dict(labels)
        row = [str(cell[name]) for name in names] + [counts_in_words(of_cell)]
        if stage == "final":
            row.append(f"{math.fsum(values) / len(values):.6g}" if values else "-")
        else:
            row.append(f"{(max if goal == 'maximize' else min)(values):.6g}" if values else "-")
        if spec.distributions:
            params = of_cell[0].params if stage == "final" else best_params(spec, Cell(cell).key, of_cell)
            row.append("-" if params is None else shown_params(params))
        table.add_row(*map(Text, row))
    Console().print(table)
    for trial in trials:
        if trial.state == "failed":
            say(f"trial {trial.number} failed ({Cell(trial.labels)}): {trial.error}")


def shown_params(params: Mapping[str, Any]) -> str:
    """Write parameters for people.

    Args:
        params: Value by path.

    Returns:
        Such as "optimizer.lr=0.0123".
    """
    words = (f"{path}={value:.4g}" if isinstance(value, float) else f"{path}={value}" for path, value in params.items())
    return ", ".join(words)


def _by_cell(trials: Sequence[StoredTrial]) -> dict[tuple[tuple[str, Any], ...], list[StoredTrial]]:
    cells: dict[tuple[tuple[str, Any], ...], list[StoredTrial]] = {}
    for trial in trials:
        cells.setdefault(tuple(trial.labels.items()), []).append(trial)
    return cells
