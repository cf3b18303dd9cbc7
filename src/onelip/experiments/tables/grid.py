"""What a table asks for: rows, columns, and which number of which runs each cell is to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from onelip.experiments.collection import RunRow
from onelip.experiments.tables.published import Published

Goal = Literal["max", "min", "near-1", ""]
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """How numbers are written.

    Attributes:
        name: In words; empty for a plain number.
        scale: What a recorded number is multiplied by.
        decimals: Digits behind the point; None for four significant ones.
    """

    name: str = ""
    scale: float = 1.0
    decimals: int | None = None


PERCENT = Unit("percent", 100.0, 2)
COARSE_PERCENT = Unit("percent", 100.0, 1)


@dataclass(frozen=True)
class Slot:
    """A cell that is to be filled.

    Attributes:
        value: Name of a run's number, or what computes it.
        matches: Which runs count.
        unit: How it is written.
        goal: Which number of a group is the best: the largest, the smallest, the nearest to 1, or none.
        group: Cells of the same name are compared with each other.
        needs: What to train for it, such as the name of a configuration.
        detail: Which of its numbers this is, in a word or two.
        published: What the paper states.
        given: Numbers that do not come of single runs; then runs do not count.
        absent: Nothing of this library can fill it; the cell stays empty and is not missing.
        mixed: Its runs differ in more than the seed, and are meant to.
    """

    value: str | Callable[[RunRow], float | None] = ""
    matches: Callable[[RunRow], bool] = lambda row: False
    unit: Unit = PERCENT
    goal: Goal = "max"
    group: str = ""
    needs: str = ""
    published: Published | None = None
    given: Sequence[float] | None = None
    absent: bool = False
    detail: str = ""
    mixed: bool = False


@dataclass(frozen=True)
class Spec:
    """A table that is to be filled.

    Attributes:
        title: What it shows.
        corner: What the labels of a row are.
        rows: Labels of each row.
        columns: Labels of each column, from the outermost inward.
        slots: By row and column; text stands as it is, and a cell that is not there stays empty.
        notes: Sentences below the table.
        published: What the published numbers are, in a phrase; empty if there are none.
    """

    title: str
    corner: Labels
    rows: Sequence[Labels]
    columns: Sequence[Labels]
    slots: Mapping[tuple[int, int], Slot | str]
    notes: Sequence[str] = field(default=())
    published: str = ""


def having(task: str = "classification", /, **wanted: object) -> Callable[[RunRow], bool]:
    """Make the condition that the configuration of a run says some things.

    Args:
        task: The run's task.
        wanted: Factors of the configuration; None for one that is not set, a tuple for any of several.

    Returns:
        A function of a run.
    """

    def matches(row: RunRow) -> bool:
        return row.task == task and all(_is(row.configured.get(key), value) for key, value in wanted.items())

    return matches


def _is(found: object, wanted: object) -> bool:
    if isinstance(wanted, tuple):
        return any(_is(found, one) for one in wanted)
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return abs(found - wanted) <= 1e-6 * abs(wanted)
    return found == wanted
