"""The radar plot of "1-Lipschitz Layers Compared": scores of methods along six axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from onelip.experiments.tables.grid import Slot, Spec, Unit
from onelip.experiments.tables.published import published
from onelip.experiments.tables.templates.layers_compared import (
    CERTIFIED,
    DATA,
    METHODS,
    NEEDS,
    PAPER,
    SIZES,
    cell,
)
from onelip.experiments.tables.templates.layers_compared_costs import measured
from onelip.experiments.tables.templates.template import Inputs, Template

TOP = 5.0
RULE = (
    "Scores from 1 (worst) to 5 (best): in each comparison, which is a data set and size, or what was measured of one "
    "model at one batch size on one device, the best of the methods that have the number gets 5, the worst 1, and one "
    "between them in proportion, of shares as they are and of costs in logarithms; a score is the mean over "
    "comparisons of two or more methods. The paper does not state its rule."
)

_SHARES = {"robust accuracy": CERTIFIED, "accuracy": "accuracy"}
_COSTS = {
    "train time": "train_seconds",
    "inference time": "eval_seconds",
    "train memory": "train_memory_bytes",
    "inference memory": "eval_memory_bytes",
}
AXES = (*_SHARES, *_COSTS)


def scores(values: Mapping[str, float], *, cost: bool) -> dict[str, float]:
    """Score methods in one comparison.

    Args:
        values: A share, or a positive cost, of each.
        cost: Less is better, by factors.

    Returns:
        From 1 to `TOP`; `TOP` for all if they are equal.
    """
    heights = {name: -math.log(value) if cost else value for name, value in values.items()}
    low, high = min(heights.values()), max(heights.values())
    return {name: TOP if high == low else 1 + (TOP - 1) * (x - low) / (high - low) for name, x in heights.items()}


def radar_scores(inputs: Inputs) -> dict[str, dict[str, float]]:
    """Score methods along all axes.

    Args:
        inputs: Runs and measurements.

    Returns:
        For each axis, the scores of the methods that have one.
    """
    found = {}
    for axis in AXES:
        comparisons = [c for c in _comparisons(inputs, axis) if len(c) > 1]
        scored = [scores(c, cost=axis in _COSTS) for c in comparisons]
        found[axis] = {m: _mean([s[m] for s in scored if m in s]) for m in METHODS if any(m in s for s in scored)}
    return found


def _comparisons(inputs: Inputs, axis: str) -> Iterator[dict[str, float]]:
    if axis in _SHARES:
        yield from _of_runs(inputs, lambda values: values.get(_SHARES[axis]))
        return
    of_setup: dict[tuple[object, ...], dict[str, float]] = {}
    for row in inputs.measurements:
        value = measured(row, _COSTS[axis])
        if value is not None and value > 0 and row.method in METHODS:
            of_setup.setdefault((row.machine, row.device, row.model, row.batch), {})[row.method] = value
    yield from of_setup.values()
    if axis == "train time" and not of_setup:
        yield from _of_runs(inputs, lambda values: values.get("seconds_per_epoch") or None)


def _of_runs(inputs: Inputs, value: Callable[[Mapping[str, float]], float | None]) -> Iterator[dict[str, float]]:
    for data in DATA:
        for size in SIZES:
            found = {}
            for method in METHODS:
                runs = [run for run in inputs.runs if cell(data, method, size)(run)]
                values = [x for run in runs if (x := value(run.values)) is not None]
                if values:
                    found[method] = _mean(values)
            yield found


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _build(inputs: Inputs) -> Sequence[Spec]:
    found = radar_scores(inputs)
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, method in enumerate(METHODS):
        for c, axis in enumerate(AXES):
            stated = published("layers_compared_radar", method=method, axis=axis)
            given = [found[axis][method]] if method in found[axis] else []
            unit, needs = Unit("score", 1.0, 1), METHODS[method]
            slots[r, c] = Slot(given=given, unit=unit, group=str(c), needs=needs, published=stated, detail=axis)
    notes = [RULE]
    if not inputs.measurements:
        notes.append(
            "Without --measurements, train time is that of an epoch of the runs, and the other costs are missing."
        )
    rows, columns = [(name,) for name in METHODS.values()], [(axis,) for axis in AXES]
    source = "on an A100-80GB, read off the figure; scores are whole numbers there"
    return [Spec(f"{PAPER}, figure 1: radar plot", ("method",), rows, columns, slots, notes, source)]


TEMPLATES = (
    Template(
        "layers-compared-radar",
        "scores of methods: accuracies, times and memory, as numbers or as a figure",
        PAPER,
        NEEDS,
        _build,
        measured=True,
        figure=True,
    ),
)
