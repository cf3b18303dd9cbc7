"""What radii divide by, in balls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from flint import arb

from onelip.certify.checker.network import INPUT, Array, Graph, Step
from onelip.certify.paranoid.balls import ZERO, Balls, absolute, exact, full, root, total
from onelip.certify.paranoid.composition import Shapes


@dataclass(frozen=True, eq=False)
class Head:
    """The last linear operation, or the lack of one.

    Attributes:
        kind: "linear", "joined" for logits that are put together from several vectors, or "global".
        node: Its name, or that of the output.
        constant: Constant of everything before it, or of the whole network.
        slopes: `(n_classes, n_classes)`: constant of each difference of logits.
    """

    kind: str
    node: str
    constant: Any
    slopes: Balls


def find_head(graph: Graph, shapes: Shapes, constants: dict[str, Any], n_classes: int, sums: bool = False) -> Head:
    """Look back from the output, through reshapes and one slice of classes, for a linear operation.

    Args:
        graph: The network.
        shapes: Of a batch after each step.
        constants: From the input to each of its steps.
        n_classes: Number of logits.
        sums: Are they, and are the slopes to be, in the maximum norm?

    Returns:
        The head.
    """
    name, kept = graph.output, None
    while name != INPUT:
        step = graph.step(name)
        before = shapes[step.inputs[0]][1:]
        # A slice of classes, that is of flat entries, however the logits are arranged.
        flat = before[:1] == (math.prod(before),)
        if step.op == "slice" and step.attributes["axis"] == 0 and flat and kept is None:
            kept = slice(step.attributes["start"], step.attributes["stop"])
        elif step.op != "reshape":
            break
        name = step.inputs[0]
    rows = None if name == INPUT else _rows(graph.step(name), shapes)
    if rows is None:
        constant = constants[graph.output]
        if graph.output != INPUT and graph.step(graph.output).op == "concatenate" and len(shapes[graph.output]) == 2:
            return Head("joined", graph.output, constant, _joined(graph, shapes, constants, sums))
        slopes = full((n_classes, n_classes), constant * (2 if sums else root(arb(2))))
        for i in range(n_classes):
            slopes[i, i] = ZERO
        return Head("global", graph.output, constant, slopes)
    constant = constants[graph.step(name).inputs[0]]
    return Head("linear", name, constant, _distances(exact(rows if kept is None else rows[kept]), sums) * constant)


def _joined(graph: Graph, shapes: Shapes, constants: dict[str, Any], sums: bool) -> Balls:
    # Which vector each logit is of.
    owners = [name for name in graph.step(graph.output).inputs for _ in range(math.prod(shapes[name][1:]))]
    slopes, same = full((len(owners), len(owners))), 2 if sums else root(arb(2))
    for i, first in enumerate(owners):
        for j, second in enumerate(owners[:i]):
            apart = constants[first] + constants[second]
            slopes[i, j] = slopes[j, i] = constants[first] * same if first == second else apart
    return slopes


def _rows(step: Step, shapes: Shapes) -> Array | None:
    before, after = shapes[step.inputs[0]], shapes[step.name]
    if step.op == "linear" and len(before) == 2:
        return step.arrays["weight"]
    if step.op != "conv2d" or math.prod(after[2:]) != 1:
        return None
    weight = step.arrays["weight"]
    whole = step.attributes["groups"] == 1 and not any(step.attributes["pads"]) and weight.shape[1:] == before[1:]
    return weight.reshape(len(weight), -1) if whole else None


def _distances(rows: Balls, sums: bool) -> Balls:
    n = len(rows)
    result = full((n, n))
    for i in range(n):
        for j in range(i):
            difference = rows[i] - rows[j]
            length = total(absolute(difference)) if sums else root(total(difference * difference))
            result[i, j] = result[j, i] = length
    return result
