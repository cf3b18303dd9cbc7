"""What radii divide by, in balls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from onelip.certify.checker.network import INPUT, Array, Graph, Step
from onelip.certify.paranoid.balls import Balls, exact, full, root, total
from onelip.certify.paranoid.composition import Composed, Shapes


@dataclass(frozen=True, eq=False)
class Head:
    """The last linear operation, or the lack of one.

    Attributes:
        kind: "linear" or "global".
        node: Its name, or that of the output.
        constant: Constant of everything before it, or of the whole network.
        slopes: `(n_classes, n_classes)`: constant of each difference of logits.
    """

    kind: str
    node: str
    constant: Any
    slopes: Balls


def find_head(graph: Graph, shapes: Shapes, composed: Composed, n_classes: int) -> Head:
    """Look back from the output, through reshapes and one slice of classes, for a linear operation.

    Args:
        graph: The network.
        shapes: Of a batch after each step.
        composed: Its constants.
        n_classes: Number of logits.

    Returns:
        The head.
    """
    name, kept = graph.output, None
    while name != INPUT:
        step = graph.step(name)
        before = shapes[step.inputs[0]][1:]
        # A slice of classes, that is of flat entries, however the logits are arranged.
        flat = math.prod(before) == before[0]
        if step.op == "slice" and step.attributes["axis"] == 0 and flat and kept is None:
            kept = slice(step.attributes["start"], step.attributes["stop"])
        elif step.op != "reshape":
            break
        name = step.inputs[0]
    rows = None if name == INPUT else _rows(graph.step(name), shapes)
    if rows is None:
        constant = composed.cumulative[graph.output]
        return Head("global", graph.output, constant, full((n_classes, n_classes), constant * root(exact(2.0)[()])))
    constant = composed.cumulative[graph.step(name).inputs[0]]
    return Head("linear", name, constant, _distances(exact(rows if kept is None else rows[kept])) * constant)


def _rows(step: Step, shapes: Shapes) -> Array | None:
    before, after = shapes[step.inputs[0]], shapes[step.name]
    if step.op == "linear" and len(before) == 2:
        return step.arrays["weight"]
    if step.op != "conv2d" or math.prod(after[2:]) != 1:
        return None
    weight = step.arrays["weight"]
    whole = step.attributes["groups"] == 1 and not any(step.attributes["pads"]) and weight.shape[1:] == before[1:]
    return weight.reshape(len(weight), -1) if whole else None


def _distances(rows: Balls) -> Balls:
    n = len(rows)
    result = full((n, n))
    for i in range(n):
        for j in range(i):
            difference = rows[i] - rows[j]
            result[i, j] = result[j, i] = root(total(difference * difference))
    return result
