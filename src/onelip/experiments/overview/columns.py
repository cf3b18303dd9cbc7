"""The columns of the table of many runs: what they are called, in which unit, and which a reader sees first."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from onelip.experiments.collection.rows import RunRow

Value = str | float | int | None
Unit = Literal["text", "plain", "share", "seconds", "count"]
Rounding = Literal["near", "down", "up"]

MAIN = (
    "accuracy",
    "clean_accuracy",
    "certified@",
    "attacked@",
    "attacked-",
    "lipschitz_bound",
    "estimated_constant",
    "estimate@",
    "lower_bound",
    "objective",
    "val_certified_accuracy",
    "val_accuracy",
    "train_seconds",
    "epochs",
    "n_parameters",
)
"""Beginnings of the keys of numbers that are shown first, in this order; those of all others follow, hidden."""

SCORES = ("accuracy", "clean_accuracy", "val_certified_accuracy", "val_accuracy", "lower_bound", "objective")
"""What runs can be ranked by when nothing was certified, in this order."""

NAMES = {
    "lipschitz_bound": "proved constant",
    "estimated_constant": "ESTIMATED constant",
    "objective": "score of the search",
    "trial_seconds": "time of the trial",
    "clean_accuracy": "accuracy",
    "train_seconds": "training time",
    "n_parameters": "parameters",
    "lower_bound": "lower bound of the distance",
    "val_accuracy": "validation accuracy",
    "val_certified_accuracy": "certified validation accuracy",
    "val_loss": "validation loss",
}

_SHARE = re.compile(r"(^|_)accuracy$|^(certified|estimate|relaxed)@|^attacked|^never_changed")
_GUARANTEED = re.compile(r"^(certified|relaxed)@|^val_certified_accuracy$|^lower_bound$")
_COUNT = re.compile(r"^(epochs?|n_\w+|steps|samples|checks)$")
_LOWER_IS_BETTER = re.compile(
    r"loss|seconds|lipschitz_bound|constant|n_parameters|memory|error|flops|frechet", re.IGNORECASE
)

# Radii of images are mostly these parts of a pixel's range.
_LEVELS = 255


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: What it is called in the results.
        name: What readers see.
        group: "run", "factor", "parameter" or "number".
        values: Of each run; None where it is missing.
        unit: How a value is written; "text" for what is no number.
        rounding: Away from what it could claim: guarantees down, bounds up.
        shown: Does a reader see it first?
        lower_is_better: Is a small value the good one?
    """

    key: str
    name: str
    group: str
    values: tuple[Value, ...]
    unit: Unit = "text"
    rounding: Rounding = "near"
    shown: bool = True
    lower_is_better: bool = False


def table_columns(rows: Sequence[RunRow]) -> list[Column]:
    """Make the columns of some runs.

    Args:
        rows: The runs; at least one.

    Returns:
        Status, what was varied, hyper-parameters, numbers and error, in the order in which they are shown. Columns
        that are the same for all runs are hidden at first.
    """
    columns = [Column("status", "status", "run", tuple(row.status for row in rows))]
    columns += [_text("name", "experiment", "run", [row.name for row in rows])]
    columns += [_text("task", "task", "run", [row.task for row in rows])]
    columns += [_text("stage", "stage", "run", [row.stage for row in rows])]
    columns += [_text(key, key, "factor", _of(rows, key, lambda row: row.factors)) for key in _keys(rows, "factors")]
    columns += [_parameter(key, _of(rows, key, lambda row: row.params)) for key in _keys(rows, "params")]
    numbers = [told_apart(row.values) for row in rows]
    keys = sorted({key for values in numbers for key in values}, key=_rank)
    columns += [_number(key, [values.get(key) for values in numbers]) for key in keys]
    error = Column("error", "error", "run", tuple(row.error or None for row in rows), shown=any(r.error for r in rows))
    return [*columns, error]


def told_apart(values: Mapping[str, float]) -> dict[str, float]:
    """Give what rests on a constant that is not proved a name of its own, so that it stands in no column of proofs.

    Args:
        values: Numbers of a run.

    Returns:
        The same, where "lipschitz_proved" is 0 with "estimated_constant" and "estimate@R" for "lipschitz_bound" and
        "certified@R"; without "lipschitz_proved".
    """
    rest = {key: value for key, value in values.items() if key != "lipschitz_proved"}
    if values.get("lipschitz_proved", 1):
        return rest
    names = {"lipschitz_bound": "estimated_constant"}
    return {names.get(key, key.replace("certified@", "estimate@")): value for key, value in rest.items()}


def score_column(columns: Iterable[Column]) -> Column | None:
    """Choose what runs are ranked by at first.

    Args:
        columns: Those of the table.

    Returns:
        The certified accuracy at the smallest radius or, if more than twice as many runs have that, an accuracy, a
        validation score or a bound; None if no run has any.
    """
    numbers = {c.key: c for c in columns if c.group == "number"}
    certified = sorted((key for key in numbers if key.startswith("certified@")), key=_radius)[:1]
    candidates = [numbers[key] for key in (*certified, *SCORES) if key in numbers]
    known = [sum(v is not None for v in c.values) for c in candidates]
    # Runs that failed have scores of the training, too, and should not decide.
    return next((c for c, n in zip(candidates, known, strict=True) if 2 * n >= max(known)), None)


def readable_name(key: str) -> str:
    """Say what a number is.

    Args:
        key: Such as "certified@0.141176" or "attacked-apgd-t-l2@0.5".

    Returns:
        Such as "certified at 36/255" or "under apgd-t-l2 at 0.5".
    """
    kind, at, radius = key.partition("@")
    if at:
        what = {"attacked": "under attack", "estimate": "ESTIMATE, not proved,", "relaxed": "by relaxation"}.get(kind)
        what = what or kind.replace("attacked-", "under ", 1)
        return f"{what} at {_radius_text(radius)}"
    return NAMES.get(key, key.replace("_", " "))


def _radius_text(radius: str) -> str:
    try:
        value = float(radius)
    except ValueError:
        return radius
    if not math.isfinite(value):
        return radius
    nearest = Fraction(round(value * _LEVELS), _LEVELS)
    if abs(float(nearest) - value) < 1e-6 and len(f"{value:.6g}") > len("0.125"):
        return f"{round(value * _LEVELS)}/{_LEVELS}"
    return f"{value:.4g}"


def _radius(key: str) -> float:
    try:
        return float(key.rpartition("@")[2])
    except ValueError:
        return math.inf


# By the place in MAIN, then by radius, then by name.
def _rank(key: str) -> tuple[int, float, str]:
    place = next(
        (k for k, start in enumerate(MAIN) if key == start or (start[-1] in "@-" and key.startswith(start))), 99
    )
    return place, _radius(key) if "@" in key else 0.0, key


def _keys(rows: Sequence[RunRow], part: str) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in getattr(row, part)))


def _of(
    rows: Sequence[RunRow], key: str, part: Callable[[RunRow], Mapping[str, str | int | float]]
) -> list[str | int | float | None]:
    return [part(row).get(key) for row in rows]


# A level of a factor is a name, even if it is made of digits.
def _text(key: str, name: str, group: str, values: Sequence[Value]) -> Column:
    cells = tuple(None if v is None or v == "" else v for v in values)
    return Column(key, name, group, cells, shown=len(set(cells)) > 1)


def _parameter(key: str, values: Sequence[Value]) -> Column:
    column = _text(key, key, "parameter", values)
    if not all(_is_number(v) for v in column.values if v is not None):
        return column
    return Column(key, key, "parameter", column.values, "plain", shown=column.shown)


def _number(key: str, values: Sequence[Value]) -> Column:
    cells = tuple(None if v is None or (isinstance(v, float) and math.isnan(v)) else v for v in values)
    rounding: Rounding = "up" if key == "lipschitz_bound" else "down" if _GUARANTEED.search(key) else "near"
    lower = bool(_LOWER_IS_BETTER.search(key)) and not key.startswith(("certified", "attacked"))
    shown = _rank(key)[0] < len(MAIN) and not key.startswith("attacked-")
    return Column(key, readable_name(key), "number", cells, _unit(key, cells), rounding, shown, lower)


def _unit(key: str, values: Sequence[Value]) -> Unit:
    if _SHARE.search(key) and all(0 <= v <= 1 for v in values if isinstance(v, (int, float))):
        return "share"
    if key.endswith("seconds"):
        return "seconds"
    whole = all(float(v).is_integer() for v in values if isinstance(v, (int, float)) and math.isfinite(v))
    return "count" if _COUNT.search(key) and whole else "plain"


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
