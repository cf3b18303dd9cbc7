"""Tables of results of "1-Lipschitz Layers Compared": accuracy and certified accuracy of methods, sizes and budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from onelip.experiments.collection import RunRow
from onelip.experiments.evaluation import radius_key
from onelip.experiments.tables.grid import COARSE_PERCENT, Slot, Spec, Unit, having
from onelip.experiments.tables.published import published
from onelip.experiments.tables.templates.template import Inputs, Template

PAPER = '"1-Lipschitz Layers Compared" (arXiv:2311.16833)'
SIZES = ("xs", "s", "m", "l")
METHODS = {
    "aol": "AOL",
    "bcop": "BCOP",
    "cayley": "Cayley",
    "cpl": "CPL",
    "lot": "LOT",
    "sll": "SLL",
    "soc": "SOC",
    "aoc": "AOC (ours)",
}
NEAREST = {"aoc": "bcop"}
"""Whose settings and epochs a method takes that the paper does not compare."""


@dataclass(frozen=True)
class DataSet:
    """A data set of the paper.

    Attributes:
        title: The name in print.
        model: Begin of the model's name.
        family: Begin of the names of its configurations.
        table: Number of the table of its results.
        n_train: Its training images.
    """

    title: str
    model: str
    family: str
    table: int
    n_train: int


DATA = {
    "cifar10": DataSet("CIFAR-10", "convnet", "layers-compared", 9, 50_000),
    "cifar100": DataSet("CIFAR-100", "convnet", "layers-compared-cifar100", 10, 50_000),
    "tiny-imagenet": DataSet("Tiny-ImageNet", "tiny-convnet", "layers-compared-tiny-imagenet", 11, 100_000),
}
CERTIFIED = f"certified@{radius_key(36 / 255)}"
MEASURES = {"accuracy": "accuracy", "certified": CERTIFIED}

BUDGETS = {"2h": 1, "10h": 5, "24h": 12}
"""Hours on an A100, and the multiple of the epochs that two of them have room for."""

NEEDS = ("layers-compared*-*",)
_HOW_LONG = (
    "A run counts for a budget if its sweep has a factor budget of this name, else if it is trained for the epochs "
    "that the paper's A100 has time for (table 8), else if it took this time itself."
)


def cell(data: str, method: str, size: str) -> Callable[[RunRow], bool]:
    """Make the condition on the runs of one method.

    Args:
        data: A key of `DATA`.
        method: A key of `METHODS`.
        size: One of `SIZES`.

    Returns:
        A function of a run.
    """
    return having(data=data, model=f"{DATA[data].model}-{size}", layer=method)


def config_name(data: str, method: str, size: str) -> str:
    """Name the configuration of one method.

    Args:
        data: A key of `DATA`.
        method: A key of `METHODS`.
        size: One of `SIZES`.

    Returns:
        Its name.
    """
    return f"{DATA[data].family}-{size}-{method}"


def exists(method: str, size: str) -> bool:
    """Say whether there is such a network.

    Args:
        method: A key of `METHODS`.
        size: One of `SIZES`.

    Returns:
        Whether it is; the largest one of LOT does not fit into memory.
    """
    return (method, size) != ("lot", "l")


def _summary_table(measure: str, title: str, inputs: Inputs) -> Sequence[Spec]:
    columns = [(data, size) for data in DATA for size in SIZES]
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, method in enumerate(METHODS):
        for c, (data, size) in enumerate(columns):
            if not exists(method, size):
                continue
            stated = published("layers_compared", data=data, method=method, size=size, budget="24h", measure=measure)
            needs = config_name(data, method, size)
            runs = cell(data, method, size)
            slots[r, c] = Slot(MEASURES[measure], runs, COARSE_PERCENT, "max", str(c), needs, stated)
    return [
        Spec(
            f"{PAPER}, table 2: {title}, percent",
            ("method",),
            [(name,) for name in METHODS.values()],
            [(DATA[data].title, size.upper()) for data, size in columns],
            slots,
            _trained(inputs.runs, columns),
            "24 hours on an A100-80GB each, one run",
        )
    ]


# Runs of a laptop stand in the place of a day on an A100, and are to say so.
def _trained(runs: Sequence[RunRow], columns: Sequence[tuple[str, str]]) -> list[str]:
    here = [run for run in runs if any(cell(data, method, size)(run) for data, size in columns for method in METHODS)]
    epochs = sorted(run.values["epochs"] for run in here if "epochs" in run.values)
    if not epochs:
        return []
    few, many = epochs[0], epochs[-1]
    span = f"{few:,.0f}" if few == many else f"{few:,.0f} to {many:,.0f}"
    return [f"These runs were trained for {span} epoch{'s' if many > 1 else ''}."]


def _budget_table(data: str, inputs: Inputs) -> Sequence[Spec]:
    rows = [(method, size) for method in METHODS for size in SIZES if exists(method, size)]
    columns = [("settings", "lr"), ("settings", "weight_decay")]
    columns += [(measure, budget) for measure in MEASURES for budget in BUDGETS]
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, (method, size) in enumerate(rows):
        for c, (kind, name) in enumerate(columns):
            key = {"data": data, "method": method, "size": size}
            if kind == "settings":
                slots[r, c] = _setting(inputs.runs, key, name)
                continue
            stated = published("layers_compared", **key, budget=name, measure=kind)
            runs = _within(cell(data, method, size), name, key)
            needs, unit = config_name(data, method, size), COARSE_PERCENT
            slots[r, c] = Slot(MEASURES[kind], runs, unit, "max", str(c), needs, stated, detail=f"{kind} {name}")
    titles = {"accuracy": "accuracy", "certified": "certified at 36/255", "settings": ""}
    one = DATA[data]
    return [
        Spec(
            f"{PAPER}, table {one.table}: {one.title} for each budget, percent",
            ("method", "size"),
            [(METHODS[method], size.upper()) for method, size in rows],
            [(titles[kind], name.replace("_", " ")) for kind, name in columns],
            slots,
            [_HOW_LONG],
            "2, 10 and 24 hours on an A100-80GB, one run each",
        )
    ]


# The setting that all runs share, or all of them.
def _setting(runs: Sequence[RunRow], key: Mapping[str, str], name: str) -> Slot | str:
    matches = cell(key["data"], key["method"], key["size"])
    found = {float(run.configured[name]) for run in runs if matches(run) and name in run.configured}
    stated = published("layers_compared", **key, measure=name)
    if len(found) > 1:
        return ", ".join(f"{value:g}" for value in sorted(found))
    needs = config_name(key["data"], key["method"], key["size"])
    return Slot(given=sorted(found), unit=Unit(), goal="", needs=needs, published=stated, detail=name)


def _within(matches: Callable[[RunRow], bool], budget: str, key: Mapping[str, str]) -> Callable[[RunRow], bool]:
    known = {**key, "method": NEAREST.get(key["method"], key["method"])}
    stated = published("layers_compared", **known, budget="2h", measure="epochs")
    epochs = None if stated is None else stated.value
    return lambda run: matches(run) and budget_of(run, epochs) == budget


def budget_of(run: RunRow, epochs_in_2_hours: float | None) -> str:
    """Say for which budget a run was trained.

    Args:
        run: A run.
        epochs_in_2_hours: What the paper's machine has time for.

    Returns:
        A key of `BUDGETS`, or empty.
    """
    if "budget" in run.factors:
        return str(run.factors["budget"]).replace(" ", "").lower()
    epochs = run.configured.get("max_epochs")
    for name, multiple in BUDGETS.items():
        wanted = multiple * (epochs_in_2_hours or 0.0)
        if isinstance(epochs, (int, float)) and abs(epochs - wanted) <= 0.02 * wanted:
            return name
    hours = run.values.get("train_seconds", 0.0) / 3600
    return next((name for name in BUDGETS if 0.9 <= hours / float(name[:-1]) <= 1.05), "")


TEMPLATES = (
    Template(
        "layers-compared-accuracy",
        "accuracy of eight methods in four sizes on three data sets",
        PAPER,
        NEEDS,
        partial(_summary_table, "accuracy", "accuracy"),
    ),
    Template(
        "layers-compared-cra",
        "certified accuracy at 36/255 of eight methods in four sizes on three data sets",
        PAPER,
        NEEDS,
        partial(_summary_table, "certified", "certified robust accuracy at 36/255"),
    ),
    *(
        Template(
            f"layers-compared-{one.table}",
            f"{one.title}: settings, accuracy and certified accuracy for budgets of 2, 10 and 24 hours",
            PAPER,
            (f"{one.family}-*",),
            partial(_budget_table, name),
        )
        for name, one in DATA.items()
    ),
)
