"""The section `sweep` of a sweep file: what is searched, how, and what is done with the best."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from onelip.experiments.config_section import Section, from_name
from onelip.linalg import unknown_name

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}

DEFAULT_TRIALS = 16
"""Draws for each cell of a random or TPE search, as many as "1-Lipschitz Layers Compared" has."""


def read_duration(value: Any) -> Any:
    """Read a time such as "2h", "1h30m", "45 min" or "90s".

    Args:
        value: A value of a configuration.

    Returns:
        Seconds; anything else as it is.

    Raises:
        ValueError: It is text, and no time.
    """
    if not isinstance(value, str):
        return value
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)", value)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not seconds or re.sub(r"\s|(\d+(?:\.\d+)?)\s*(d|h|min|m|s)", "", value):
        raise ValueError(f"{value!r} is not a time; write it as 2h, 1h30m, 45m or 90s")
    return seconds


# The message of a plain error would not name the key.
def _duration(value: Any) -> Any:
    try:
        return read_duration(value)
    except ValueError:
        raise PydanticCustomError("duration", "it must be a time such as 2h, 1h30m, 45m or 90s") from None


Duration = Annotated[float, BeforeValidator(_duration), Field(gt=0.0)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=1)]
Level = str | int | float | bool
Levels = list[Level] | dict[str, dict[str, Any]]


class Pruning(Section):
    """Trials that are behind the others of their cell end early, as Optuna's pruners of that name decide.

    "median": below the median of the trials that reached that epoch, after `startup` whole trials of the cell.
    "successive-halving": only the best of each `reduction` go on, at `first` epochs and each multiple by `reduction`.
    Neither acts before `first` epochs.
    """

    name: Literal["median", "successive-halving"]
    startup: Annotated[int, Field(ge=0)] = 5
    first: PositiveInt = 1
    reduction: Annotated[int, Field(ge=2)] = 4


class Final(Section):
    """What `--stage final` does with the best draw of each cell: one training for each seed, certified and attacked.

    `set` changes keys for it, such as trainer.max_epochs; `budget` is as that of the search.
    """

    seeds: Seeds = (0, 1, 2)
    budget: Duration | None = None
    set: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("trainer.max_epochs", "trainer.max_minutes"):
            if self.budget is not None and self.set.get(key) is not None:
                raise ValueError(f"sweep.final.set has {key}, which sweep.final.budget chooses; take one of them out")
        for key in ("name", "runs_dir", "seed"):
            if key in self.set:
                raise ValueError(f"sweep.final.set has {key}, which each trial has of its own; take it out")
        return self


class Sweep(Section):
    """What is searched, how, and what is done with the best.

    `factors` are combined into cells, all with all but those in `skip`. A list has values of the key of that name, or,
    of a name that stands in braces in `base`, just what is put there; a mapping has labels with the changes that each
    stands for. In each cell the distributions of the file are searched: all combinations ("grid", where `points` says
    how many values of each range), `trials` draws ("random"), or `trials` proposals that learn from the others of the
    cell ("tpe"). Draws depend on `seed` and the cell alone, not on who runs them when, and are the same for all values
    of a factor `seed`.

    `metric` is a column of metrics.csv, of the epoch whose weights are kept, and `goal` what is good of it; null means
    the usual of the task. With `budget` each trial takes the epochs that fit into that time, measured where it runs.
    `evaluate` says whether trials are certified and attacked on the test images, too; null means only where nothing is
    searched. A trial whose worker died `max_deaths` times has failed.
    """

    search: Literal["grid", "random", "tpe"] = "random"
    trials: PositiveInt | None = None
    points: PositiveInt | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    factors: dict[str, Levels] = Field(default_factory=dict)
    skip: list[dict[str, Level]] = Field(default_factory=list)
    metric: str | None = None
    goal: Literal["maximize", "minimize"] | None = None
    budget: Duration | None = None
    evaluate: bool | None = None
    pruning: Annotated[Pruning | None, BeforeValidator(from_name)] = None
    max_deaths: PositiveInt = 3
    final: Final = Final()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.search == "grid" and self.trials is not None:
            raise ValueError(f"sweep.trials={self.trials} does not go with sweep.search=grid, which tries all")
        if self.search != "grid" and self.points is not None:
            raise ValueError(f"sweep.points={self.points} is of sweep.search=grid, and this is {self.search}")
        for name, levels in self.factors.items():
            if not levels:
                raise ValueError(f"sweep.factors.{name} has no level; give it at least one")
            if isinstance(levels, list) and len(set(levels)) < len(levels):
                raise ValueError(f"sweep.factors.{name}={levels} has a level twice")
        for rule in self.skip:
            for name in rule:
                if name not in self.factors:
                    raise ValueError(unknown_name("factor in sweep.skip", name, self.factors))
        return self


class SweepTree(Section):
    """A mapping with the section under its key, so that messages name `sweep.trials` and not `trials`."""

    sweep: Sweep
