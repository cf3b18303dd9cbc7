"""Tables of costs of "1-Lipschitz Layers Compared": epochs in two hours, and operations and memory in theory."""

from __future__ import annotations

import math
from collections.abc import Sequence

from onelip.experiments.collection import RunRow
from onelip.experiments.tables.grid import Slot, Spec, Unit
from onelip.experiments.tables.measured_costs import Costs
from onelip.experiments.tables.published import published, records
from onelip.experiments.tables.templates.layers_compared import (
    DATA,
    METHODS,
    NEEDS,
    PAPER,
    SIZES,
    cell,
    config_name,
    exists,
)
from onelip.experiments.tables.templates.template import Inputs, Template

_TWO_HOURS = 7200.0
_COUNTED = ("cifar10", "tiny-imagenet")
"""CIFAR-100 has as many images as CIFAR-10."""

_MEASURED = {
    "forward FLOPs": ("forward_flops", Unit("FLOPs")),
    "training FLOPs": ("train_flops", Unit("FLOPs")),
    "training memory": ("train_memory_bytes", Unit("MiB", 1 / 2**20, 1)),
    "inference memory": ("eval_memory_bytes", Unit("MiB", 1 / 2**20, 1)),
}
_HOW_COUNTED = (
    "From the seconds of an epoch in the file of budgets, or those of a training step in that of measurements, times "
    "the batches of an epoch; else from the median seconds of an epoch of runs on all images, with validation."
)
_SYMBOLS = (
    "b: images in a batch, s: side of an image, c: channels, k: side of a kernel, t: inner iterations; "
    "C = b s^2 c^2 k^2 multiplications, M = b s^2 c, P = c^2 k^2."
)


def measured(row: Costs, column: str) -> float | None:
    """Read a number of a measurement.

    Args:
        row: A row of the file of measurements.
        column: Its column.

    Returns:
        The number; None if it was not measured.
    """
    value = getattr(row, column)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _budgets(inputs: Inputs) -> Sequence[Spec]:
    columns = [(data, size) for data in _COUNTED for size in SIZES]
    methods = {**METHODS, "eco": "ECO"}
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, method in enumerate(methods):
        for c, (data, size) in enumerate(columns):
            stated = published("layers_compared", data=data, method=method, size=size, budget="2h", measure="epochs")
            unit = Unit("epochs", 1.0, 0)
            if method == "eco":
                slots[r, c] = Slot(unit=unit, group=str(c), published=stated, absent=True)
            elif exists(method, size):
                epochs = _epochs(inputs, data, method, size)
                matches, needs = cell(data, method, size), config_name(data, method, size)
                slots[r, c] = Slot(_epochs_of_run, matches, unit, "max", str(c), needs, stated, epochs)
    return [
        Spec(
            f"{PAPER}, table 8: epochs in two hours",
            ("method",),
            [(name,) for name in methods.values()],
            [(DATA[data].title, size.upper()) for data, size in columns],
            slots,
            [_HOW_COUNTED],
            "two hours on an A100-80GB, batches of 256",
        )
    ]


def _epochs_of_run(run: RunRow) -> float | None:
    if "per_class" in run.configured or "max_steps" in run.configured:
        # What such a run calls an epoch is a part of one.
        return None
    seconds = run.values.get("seconds_per_epoch", 0.0)
    return float(math.floor(_TWO_HOURS / seconds)) if seconds > 0 else None


def _epochs(inputs: Inputs, data: str, method: str, size: str) -> list[float] | None:
    one, seconds = DATA[data], inputs.epoch_seconds.get(config_name(data, method, size))
    for row in inputs.measurements:
        step = measured(row, "train_seconds")
        if (row.model, row.method) == (f"{one.model}-{size}", method) and step:
            # Of several machines none is the one; the last that was measured counts.
            seconds = step * math.ceil(one.n_train / row.batch)
    return [float(math.floor(_TWO_HOURS / seconds))] if seconds else None


def _theory(inputs: Inputs) -> Sequence[Spec]:
    stated = {(row["method"], row["column"]): row["value"] for row in records("layers_compared_theory")}
    formulas = [*dict.fromkeys(column for _, column in stated)]
    methods = {"standard": "standard", **METHODS}
    setups = [*dict.fromkeys((row.model, row.batch, row.device) for row in inputs.measurements)]
    columns = [("theory", name) for name in formulas]
    columns += [
        (f"{model}, batch {batch} {device}".strip(), name) for model, batch, device in setups for name in _MEASURED
    ]
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, method in enumerate(methods):
        for c, name in enumerate(formulas):
            slots[r, c] = stated.get((method, name), "")
        for s, setup in enumerate(setups):
            for m, name in enumerate(_MEASURED):
                at = len(formulas) + s * len(_MEASURED) + m
                slots[r, at] = _measured_slot(inputs, setup, method, name, str(at))
    notes = [_SYMBOLS, f"Formulas: {PAPER}, table 1; it has none for AOC."]
    if setups:
        notes.append("The other columns are measured here, with onelip bench measure.")
    return [Spec(f"{PAPER}, table 1: costs", ("method",), [(m,) for m in methods.values()], columns, slots, notes)]


def _measured_slot(inputs: Inputs, setup: tuple[str, int, str], method: str, name: str, group: str) -> Slot:
    column, unit = _MEASURED[name]
    own = "plain" if method == "standard" else method
    found = [
        value
        for row in inputs.measurements
        if (row.model, row.batch, row.device) == setup and row.method == own
        if (value := measured(row, column)) is not None
    ]
    needs = f"{own} of {setup[0]} in the measurements"
    return Slot(given=found[-1:], unit=unit, goal="min", group=group, needs=needs, detail=name)


TEMPLATES = (
    Template(
        "layers-compared-budgets",
        "epochs in two hours of nine methods in four sizes",
        PAPER,
        NEEDS,
        _budgets,
        measured=True,
    ),
    Template(
        "layers-compared-theory",
        "operations and memory of each method, as formulas and as measured",
        PAPER,
        (),
        _theory,
        measured=True,
    ),
)
