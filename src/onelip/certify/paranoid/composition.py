"""Run the network and compose its constants, in balls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import INPUT, Graph, Step
from onelip.certify.paranoid.balls import ONE, ZERO, Balls, root, square_root
from onelip.certify.paranoid.constants import step_constant
from onelip.certify.paranoid.errors import NotCoveredError, require
from onelip.certify.paranoid.operations import JOINS, OPERATIONS

BRANCHES = ("concat_residual", "l2_norm_residual")

Shapes = dict[str, tuple[int, ...]]


def evaluate(graph: Graph, images: Balls, shapes: Shapes | None = None) -> Balls:
    """Run a batch.

    Args:
        graph: The network.
        images: `(N, ...)`.
        shapes: Filled with the shape of a batch after each step, by its full name, if given.

    Returns:
        The output.

    Raises:
        NotCoveredError: If an operation is not known.
    """
    return _run(graph, images, "", {} if shapes is None else shapes)


def _run(graph: Graph, images: Balls, prefix: str, shapes: Shapes) -> Balls:
    if images.shape[1:] != graph.input_shape:
        raise VerificationError(f"input_shape={graph.input_shape} of {prefix or 'the network'} gets {images.shape[1:]}")
    values = {INPUT: images}
    shapes[prefix + INPUT] = images.shape
    last = {name: i for i, step in enumerate(graph.steps) for name in step.inputs}
    for i, step in enumerate(graph.steps):
        values[step.name] = _apply(step, [values[name] for name in step.inputs], f"{prefix}{step.name}", shapes)
        shapes[prefix + step.name] = values[step.name].shape
        for name in step.inputs:
            if last[name] == i and name != graph.output:
                values.pop(name, None)
    return values[graph.output]


def _apply(step: Step, inputs: list[Balls], full: str, shapes: Shapes) -> Balls:
    if step.op in JOINS:
        return JOINS[step.op](step, inputs)
    require(len(inputs) == 1, step, f"it takes one input, not {len(inputs)}")
    if step.op in BRANCHES:
        return _branch(step, inputs[0], full, shapes)
    if step.op not in OPERATIONS:
        raise NotCoveredError(f"op={step.op!r} of {step.name!r} is not known in ball arithmetic")
    return OPERATIONS[step.op](step, inputs[0])


def _branch(step: Step, x: Balls, full: str, shapes: Shapes) -> Balls:
    if step.branch is None:
        raise VerificationError(f"{step.op} {step.name!r} lacks its branch")
    if step.op == "concat_residual":
        half = math.ceil(x.shape[1] / 2)
        return np.concatenate([x[:, :half], _run(step.branch, x[:, half:], f"{full}/", shapes)], 1)
    image = _run(step.branch, x, f"{full}/", shapes)
    require(image.shape == x.shape, step, "its branch changes the shape")
    return square_root((x * x + image * image) / 2)


@dataclass(frozen=True, eq=False)
class Composed:
    """Constants of a network.

    Attributes:
        own: Of each step of one input, by its full name.
        cumulative: From the input to each step of the outermost network, `INPUT` included.
        failures: A sentence for each constant that could not be confirmed.
    """

    own: dict[str, Any]
    cumulative: dict[str, Any]
    failures: list[str]


def compose(graph: Graph, shapes: Shapes, slack: float) -> Composed:
    """Prove the constant of every step and compose them.

    Args:
        graph: The network.
        shapes: From `evaluate`.
        slack: Relative excess over each claimed constant that is let pass.

    Returns:
        The constants; infinite where one could not be proved at all.
    """
    composed = Composed({}, {INPUT: ONE}, [])
    composed.cumulative.update(_compose(graph, "", shapes, slack, composed))
    return composed


def _compose(graph: Graph, prefix: str, shapes: Shapes, slack: float, composed: Composed) -> dict[str, Any]:
    cumulative = {INPUT: ONE}
    for step in graph.steps:
        before = [cumulative[name] for name in step.inputs]
        if step.op in ("concatenate", "maximum", "minimum"):
            # |max(a, b) - max(c, d)| <= max(|a - c|, |b - d|).
            cumulative[step.name] = root(sum((b * b for b in before), ZERO))
        elif step.op in JOINS:
            cumulative[step.name] = sum(before, ZERO)
        if step.op in JOINS:
            # What comes before contributes its own slack.
            _compare(step, prefix, cumulative[step.name], 1e-6, composed)
        else:
            own = _own(step, prefix, shapes, slack, composed)
            composed.own[prefix + step.name] = own
            cumulative[step.name] = before[0] * own if own.is_finite() else own
    return cumulative


def _own(step: Step, prefix: str, shapes: Shapes, slack: float, composed: Composed) -> Any:
    full = prefix + step.name
    try:
        if step.op in BRANCHES:
            own = _branch_constant(step, full, shapes, slack, composed)
        else:
            own = step_constant(step, shapes[prefix + step.inputs[0]], slack)
    except NotCoveredError as error:
        composed.failures.append(str(error))
        return ONE.pos_inf()
    # Each step of a branch contributes its own slack.
    _compare(step, prefix, own, slack * (1 + _count(step.branch)), composed)
    return own


def _count(graph: Graph | None) -> int:
    return 0 if graph is None else sum(1 + _count(step.branch) for step in graph.steps)


def _compare(step: Step, prefix: str, own: Any, slack: float, composed: Composed) -> None:
    if not own <= step.claimed * (1 + slack):
        composed.failures.append(
            f"the claimed constant {step.claimed!r} of {step.op} {prefix + step.name!r} is not proved; "
            f"balls prove {float(own.upper())!r}"
        )


def _branch_constant(step: Step, full: str, shapes: Shapes, slack: float, composed: Composed) -> Any:
    if step.branch is None:
        raise VerificationError(f"{step.op} {step.name!r} lacks its branch")
    inner = _compose(step.branch, f"{full}/", shapes, slack, composed)[step.branch.output]
    if step.op == "concat_residual":
        return ONE.max(inner)
    return root((inner * inner + 1) / 2).min(ONE.max(inner))
