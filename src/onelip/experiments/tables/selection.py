"""Which runs count: finished ones, each once, the best draws of a search, and those of its final stage before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from onelip.experiments.collection import RunRow
from onelip.experiments.collection.finding import CONFIG


@dataclass(frozen=True)
class LeftOut:
    """Finished runs that do not count.

    Attributes:
        runs: Which.
        reason: A sentence with {} for how many.
    """

    runs: Sequence[RunRow]
    reason: str


@dataclass(frozen=True)
class Selected:
    """Runs of a table.

    Attributes:
        runs: Those that count.
        others: Those that did not end, or failed.
        left_out: Those that give way to others.
    """

    runs: Sequence[RunRow]
    others: Sequence[RunRow] = ()
    left_out: Sequence[LeftOut] = ()

    def notes(self, concerned: Callable[[RunRow], bool]) -> list[str]:
        """Say what was left out.

        Args:
            concerned: Which runs a table is about.

        Returns:
            A sentence for each reason.
        """
        found = [(sum(map(concerned, one.runs)), one.reason) for one in self.left_out]
        return [reason.format(f"{n} run{'s' if n > 1 else ''}") for n, reason in found if n]


def select(rows: Iterable[RunRow]) -> Selected:
    """Choose the runs that count.

    Args:
        rows: All runs that were found.

    Returns:
        The chosen ones, and why others were not.
    """
    every = list(rows)
    kept, left_out = [row for row in every if row.status == "finished"], []
    for choose, reason in _RULES:
        chosen = choose(kept)
        ids = {id(row) for row in chosen}
        left_out.append(LeftOut([row for row in kept if id(row) not in ids], reason))
        kept = chosen
    return Selected(kept, [row for row in every if row.status != "finished"], left_out)


def _final_first(rows: Sequence[RunRow]) -> list[RunRow]:
    final = {row.name for row in rows if row.stage == "final"}
    return [row for row in rows if row.stage != "search" or row.name not in final]


def _best_draws(rows: Sequence[RunRow]) -> list[RunRow]:
    best: dict[object, RunRow] = {}
    for row in rows:
        key: object = id(row)
        if row.stage == "search" and "objective" in row.values:
            key = (row.folder.parent, tuple(sorted(row.factors.items())))
        if key not in best or _better(row, best[key]):
            best[key] = row
    chosen = {id(row) for row in best.values()}
    return [row for row in rows if id(row) in chosen]


def _better(row: RunRow, other: RunRow) -> bool:
    sign = -1.0 if row.goal == "minimize" else 1.0
    return sign * row.values["objective"] > sign * other.values["objective"]


# A training that was started again, in a later folder.
def _newest(rows: Sequence[RunRow]) -> list[RunRow]:
    alike: dict[object, list[RunRow]] = {}
    for row in rows:
        key = (row.name, row.stage, *(tuple(sorted(m.items())) for m in (row.configured, row.factors, row.params)))
        alike.setdefault(key, []).append(row)
    chosen: set[int] = set()
    for group in alike.values():
        # Configurations are compared as a whole only where all factors agree.
        newest = {(_text(row) if len(group) > 1 else ""): row for row in group}
        chosen |= {id(row) for row in newest.values()}
    return [row for row in rows if id(row) in chosen]


def _text(row: RunRow) -> str:
    file = row.folder / CONFIG
    return file.read_text("utf-8") if file.exists() else str(row.folder)


_RULES: tuple[tuple[Callable[[Sequence[RunRow]], list[RunRow]], str], ...] = (
    (_final_first, "Left out: {} of a search whose final stage is there."),
    (_best_draws, "Of a search, the best draw of each cell counts; {} of other draws left out."),
    (_newest, "Left out: {} with the configuration and the seed of a newer one."),
)
