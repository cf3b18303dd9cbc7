"""Fill the cells of a table from runs, mark the best, and say what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from onelip.experiments.collection import RunRow
from onelip.experiments.tables.grid import Labels, Slot, Spec
from onelip.experiments.tables.numbers import number_text
from onelip.experiments.tables.published import Published
from onelip.experiments.tables.selection import Selected
from onelip.experiments.tables.summary import Summary, summarise


@dataclass(frozen=True)
class Cell:
    """A filled cell.

    Attributes:
        slot: What it was to show; None for text and for cells that stay empty.
        summary: The number; None if it is missing.
        best: It is the best of its group, or as good as it in print.
        text: Text that stands as it is.
    """

    slot: Slot | None = None
    summary: Summary | None = None
    best: bool = False
    text: str = ""

    @property
    def missing(self) -> bool:
        """It was asked for, and there is no number."""
        return self.slot is not None and self.summary is None and not self.slot.absent

    @property
    def n(self) -> int:
        """Of how many runs it is the mean; 0 if it is of none."""
        return 0 if self.slot is None or self.summary is None or self.slot.given is not None else self.summary.n

    @property
    def published(self) -> Published | None:
        """What the paper states there."""
        return None if self.slot is None else self.slot.published


@dataclass(frozen=True)
class Grid:
    """A filled table.

    Attributes:
        spec: What was asked for.
        cells: By row, then by column.
        notes: Sentences below it.
    """

    spec: Spec
    cells: Sequence[Sequence[Cell]]
    notes: Sequence[str]


def fill(spec: Spec, selected: Selected) -> Grid:
    """Fill a table.

    Args:
        spec: What is asked for.
        selected: The runs.

    Returns:
        Numbers, the best ones marked, and notes: of how many runs they are means, what is missing and why.
    """
    filler = _Filler(selected)
    rows, columns = range(len(spec.rows)), range(len(spec.columns))
    cells = [[filler.cell(spec.slots.get((r, c))) for c in columns] for r in rows]
    marked = _with_best(cells)
    left_out = selected.notes(lambda row: _is_of(row, spec))
    notes = [*_counts(marked), *spec.notes, *filler.notes(), *_missing(spec, marked), *left_out]
    return Grid(spec, marked, [*notes, *_failures(spec, selected)])


class _Filler:
    # Remembers in what the runs of one cell differ besides their seeds.
    def __init__(self, selected: Selected) -> None:
        self._selected = selected
        self._mixed: dict[str, None] = {}

    def cell(self, slot: Slot | str | None) -> Cell:
        if slot is None or isinstance(slot, str):
            return Cell(text=slot or "")
        if slot.given is not None or slot.absent:
            values = list(slot.given or ())
        else:
            measured = [(run, _value(run, slot)) for run in self._selected.runs if slot.matches(run)]
            if not slot.mixed:
                self._note_differences([run for run, value in measured if value is not None])
            values = [value for _, value in measured if value is not None]
        return Cell(slot, summarise([v * slot.unit.scale for v in values]) if values else None)

    def notes(self) -> list[str]:
        return (
            [f"Runs of one cell differ in {', '.join(self._mixed)}, too, not in the seed alone."] if self._mixed else []
        )

    def _note_differences(self, runs: Sequence[RunRow]) -> None:
        for key in {key: None for run in runs for key in run.configured if key not in ("seed", "mode")}:
            if len({run.configured.get(key) for run in runs}) > 1:
                self._mixed[key] = None


def _value(run: RunRow, slot: Slot) -> float | None:
    value = run.values.get(slot.value) if isinstance(slot.value, str) else slot.value(run)
    return value if value is not None and math.isfinite(value) else None


def _with_best(cells: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    groups: dict[str, list[float]] = {}
    for cell in _filled(cells):
        if cell.slot is not None and cell.slot.goal:
            groups.setdefault(cell.slot.group, []).append(_badness(cell))
    # One cell alone is not the best of anything.
    best = {group: min(values) for group, values in groups.items() if len(values) > 1}
    return [[replace(cell, best=_is_best(cell, best)) for cell in row] for row in cells]


def _is_best(cell: Cell, best: Mapping[str, float]) -> bool:
    if cell.slot is None or cell.summary is None or not cell.slot.goal:
        return False
    return cell.slot.group in best and _badness(cell) <= best[cell.slot.group]


def _filled(cells: Sequence[Sequence[Cell]]) -> Iterable[Cell]:
    return (cell for row in cells for cell in row if cell.slot is not None and cell.summary is not None)


# As printed, so that what looks alike is marked alike.
def _badness(cell: Cell) -> float:
    if cell.slot is None or cell.summary is None or not cell.slot.goal:
        return math.inf
    shown = float(number_text(cell.summary.mean, cell.slot.unit.decimals))
    return {"max": -shown, "min": shown, "near-1": abs(shown - 1.0)}[cell.slot.goal]


def _counts(cells: Sequence[Sequence[Cell]]) -> list[str]:
    counts = sorted({cell.n for cell in _filled(cells) if cell.n})
    if not counts:
        return []
    if counts == [1]:
        return ["One run in each cell (n = 1), so there is no deviation."]
    if len(counts) == 1:
        return [f"Mean and deviation of the sample over n = {counts[0]} runs in each cell."]
    return ["Mean and deviation of the sample; n is the number of runs where it is not the same everywhere."]


def _missing(spec: Spec, cells: Sequence[Sequence[Cell]]) -> list[str]:
    asked = [(r, c, cell) for r, row in enumerate(cells) for c, cell in enumerate(row) if cell.missing or cell.summary]
    gone: dict[str, list[str]] = {}
    for r, c, cell in asked:
        if cell.missing:
            name, detail = _name(cell, spec.rows[r], spec.columns[c])
            gone.setdefault(name, []).append(detail)
    if not gone:
        return []
    here = {_name(cell, spec.rows[r], spec.columns[c])[0] for r, c, cell in asked if not cell.missing}
    # What has no number at all needs no list of them.
    names = [
        f"{name} ({', '.join(details)})" if name in here and any(details) else name for name, details in gone.items()
    ]
    n_gone = sum(map(len, gone.values()))
    return [f"\N{EN DASH} is missing: {n_gone} of {len(asked)} cells, for want of {', '.join(names)}."]


def _name(cell: Cell, row: Labels, column: Labels) -> tuple[str, str]:
    if cell.slot is not None and cell.slot.needs:
        return cell.slot.needs, cell.slot.detail
    return " ".join(label for label in (*row, *column) if label), ""


def _is_of(row: RunRow, spec: Spec) -> bool:
    return any(isinstance(slot, Slot) and slot.given is None and slot.matches(row) for slot in spec.slots.values())


def _failures(spec: Spec, selected: Selected) -> list[str]:
    return [
        f"{row.status.capitalize()}: {row.folder}{': ' if row.error else ''}{row.error}"
        for row in selected.others
        if not row.configured or _is_of(row, spec)
    ]


def differences(runs: Sequence[RunRow], of: str) -> Mapping[str, list[object]]:
    """Say in what runs differ.

    Args:
        runs: Some runs.
        of: "factors" or "configured".

    Returns:
        The distinct values, in the order of the runs, of each factor that has several; a run without it counts as "".
    """
    keys = {key: None for run in runs for key in getattr(run, of)}
    values = {key: [*dict.fromkeys(getattr(run, of).get(key, "") for run in runs)] for key in keys}
    return {key: found for key, found in values.items() if len(found) > 1}
