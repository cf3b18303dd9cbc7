"""Which trials a sweep has: numbered before any of them runs, so that nobody has to remember what was drawn."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onelip.experiments.config_sweep import DEFAULT_TRIALS
from onelip.experiments.sweep.spec import Cell, SweepSpec


@dataclass(frozen=True, eq=False)
class Planned:
    """A trial.

    Attributes:
        number: From 0 on, in the whole stage.
        cell: Its cell.
        draw: Which draw of the cell it is, from 0 on.
        params: Value of each distribution, by path; None if it is proposed when the trial begins.
        changes: Further changes of the configuration, such as the seed of a final training.
    """

    number: int
    cell: Cell
    draw: int
    params: Mapping[str, Any] | None
    changes: tuple[tuple[str, Any], ...] = ()


def plan_search(spec: SweepSpec) -> list[Planned]:
    """Plan the search.

    All cells have their first draw before any has its second, so that a search that is stopped early is fair.

    Args:
        spec: The sweep.

    Returns:
        The trials in the order in which they begin.
    """
    draws = {cell.key: list(_draws(spec, cell)) for cell in spec.cells()}
    rounds = itertools.zip_longest(*([(cell, k, p) for k, p in enumerate(draws[cell.key])] for cell in spec.cells()))
    every = (trial for trials in rounds for trial in trials if trial is not None)
    return [Planned(number, *trial) for number, trial in enumerate(every)]


def _draws(spec: SweepSpec, cell: Cell) -> Iterator[Mapping[str, Any] | None]:
    found, section = spec.distributions, spec.section
    if section.search == "grid":
        values = [distribution.grid(section.points) or () for distribution in found.values()]
        for combination in itertools.product(*values):
            yield dict(zip(found, combination, strict=True))
        return
    # Without anything to draw, one trial says all.
    n_trials = (section.trials or DEFAULT_TRIALS) if found else 1
    for draw in range(n_trials):
        yield None if section.search == "tpe" and found else draw_params(spec, cell, draw)


def draw_params(spec: SweepSpec, cell: Cell, draw: int) -> dict[str, Any]:
    """Draw a value from each distribution.

    Args:
        spec: The sweep.
        cell: The cell.
        draw: Which draw of the cell.

    Returns:
        Values by path: functions of the sweep's seed, the cell, the path and the number of the draw, nothing else.
    """
    key = f"{spec.section.seed}/{cell.key}/{draw}"
    return {path: d.draw(random.Random(f"{key}/{path}")) for path, d in spec.distributions.items()}  # noqa: S311
