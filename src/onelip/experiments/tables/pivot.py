"""A table of any factors against any others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from onelip.experiments.collection import RunRow
from onelip.experiments.collection.factors import SHOWN
from onelip.experiments.errors import UserError
from onelip.experiments.tables.filling import differences
from onelip.experiments.tables.grid import Labels, Slot, Spec
from onelip.experiments.tables.value_names import goal_of, known_value, unit_of
from onelip.linalg import unknown_name

_USUAL = (
    "accuracy",
    "clean_accuracy",
    "lower_bound",
    "frechet_sq",
    "val_certified_accuracy",
    "val_accuracy",
    "objective",
)


def pivot(
    runs: Sequence[RunRow], rows: Sequence[str] | None, columns: Sequence[str] | None, values: Sequence[str] | None
) -> Spec:
    """Lay a table out.

    Args:
        runs: All runs, those that did not end among them.
        rows: Factors that rows stand for; None for what varies and is no column, except the seed.
        columns: Factors that columns stand for; None for none.
        values: Names of numbers, one column each; None for the accuracy and certified accuracies, or what there is.

    Returns:
        The table; the best number of each column is marked.

    Raises:
        UserError: If no run has such a factor or number, or one is in rows and in columns.
    """
    known = {key for run in runs for key in run.factors}
    for name in [*(rows or ()), *(columns or ())]:
        if name not in known:
            raise UserError(unknown_name("factor", name, known))
    twice = sorted(set(rows or ()) & set(columns or ()))
    if twice:
        raise UserError(f"--rows and --columns have {twice[0]} both; a factor belongs to one of them")
    down = [*rows] if rows is not None else _varying(runs, columns or ())
    across = [*(columns or ())]
    names = _values(runs, values)
    row_labels, column_labels = _labels(runs, down), _labels(runs, across)
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, row in enumerate(row_labels):
        for c, column in enumerate(column_labels):
            wanted = dict(zip((*down, *across), (*row, *column), strict=True))
            for v, name in enumerate(names):
                at = c * len(names) + v
                needs = ", ".join(value for value in wanted.values() if value) or "a run"
                slots[r, at] = Slot(name, _is(wanted), unit_of(name), goal_of(name), str(at), needs, detail=name)
    shown = [(*column, name) for column in column_labels for name in names]
    title = f"{', '.join(names)} by {', '.join((*down, *across)) or 'nothing'}"
    return Spec(title, tuple(down) or ("runs",), row_labels if down else [("all",)], shown, slots)


def _varying(runs: Sequence[RunRow], besides: Sequence[str]) -> list[str]:
    found = [key for key in differences(runs, "factors") if key != "seed" and key not in besides]
    # Factors of one sweep say the same as the parts that they stand for.
    parts: dict[tuple[object, ...], str] = {}
    for key in sorted(found, key=SHOWN.__contains__):
        parts.setdefault(_classes(runs, key), key)
    kept = [key for key in found if key in parts.values()]
    # Options of a layer, say, that the layer has each time.
    return [key for key in kept if key not in SHOWN or not any(_follows(runs, key, other) for other in kept)]


# Which runs have the same value, whatever it is.
def _classes(runs: Sequence[RunRow], key: str) -> tuple[object, ...]:
    order: dict[object, int] = {}
    return tuple(order.setdefault(run.factors.get(key), len(order)) for run in runs)


def _follows(runs: Sequence[RunRow], key: str, other: str) -> bool:
    pairs = {(run.factors.get(other), run.factors.get(key)) for run in runs}
    return key != other and len(pairs) == len({first for first, _ in pairs})


def _values(runs: Sequence[RunRow], values: Sequence[str] | None) -> list[str]:
    known = {name: None for run in runs for name in run.values}
    if not known:
        raise UserError("none of these runs has any number yet; wait until one has ended its first epoch")
    if values is not None:
        return [known_value(name, known) for name in values]
    certified = sorted((name for name in known if name.startswith("certified@")), key=lambda name: float(name[10:]))
    first = next((name for name in _USUAL if name in known), next(iter(known)))
    if first == "val_certified_accuracy" and "val_accuracy" in known:
        return ["val_accuracy", first]
    return [first, *certified] if first == "accuracy" else [first]


def _labels(runs: Sequence[RunRow], keys: Sequence[str]) -> list[Labels]:
    if not keys:
        return [()]
    found = {tuple(run.factors.get(key, "") for key in keys) for run in runs if run.factors}
    return [tuple(map(str, labels)) for labels in sorted(found, key=_order)]


# Numbers by size, and before names.
def _order(labels: Sequence[object]) -> list[tuple[int, float, str]]:
    return [(0, float(x), "") if isinstance(x, (int, float)) else (1, 0.0, str(x)) for x in labels]


def _is(wanted: Mapping[str, str]) -> Callable[[RunRow], bool]:
    return lambda run: all(str(run.factors.get(key, "")) == value for key, value in wanted.items())
