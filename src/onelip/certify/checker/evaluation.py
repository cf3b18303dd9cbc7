"""Run the checker's network: constants once, then values with error bounds for each batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onelip.certify.checker.activations import ACTIVATIONS
from onelip.certify.checker.arithmetic import above, plus, root, times
from onelip.certify.checker.constants import step_constant
from onelip.certify.checker.convolutions import AFFINE
from onelip.certify.checker.copies import COPIES
from onelip.certify.checker.elementwise import ELEMENTWISE
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.fourier import FOURIER
from onelip.certify.checker.network import INPUT, Array, Graph, Step
from onelip.certify.checker.operations import JOINS, RULES, SLACK, Result, exact, rounded
from onelip.certify.checker.sandwich import SANDWICH
from onelip.certify.checker.scales import SCALES
from onelip.certify.checker.windows import WINDOWS

TINY = 2.0**-500
"""Added to each error bound for underflow."""

_RULES = ACTIVATIONS | AFFINE | COPIES | ELEMENTWISE | FOURIER | SANDWICH | SCALES | RULES | WINDOWS

ROOTS = ("concatenate", "maximum", "minimum")
"""Joins whose constant is the root of the sum of squares; |max(a, b) - max(c, d)| <= max(|a - c|, |b - d|)."""

BRANCHES = ("concat_residual", "l2_norm_residual")

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """A network with the checker's own constants.

    Attributes:
        graph: The network.
        own: Constant of each step of one input by its name.
        cumulative: Constant from the input to each step, `INPUT` included.
        shapes: Shape of each step's output for one sample, `INPUT` included.
        branches: The same for the networks inside skip connections.
    """

    graph: Graph
    own: dict[str, float]
    cumulative: dict[str, float]
    shapes: dict[str, Shape]
    branches: dict[str, Measured]


def count_steps(graph: Graph) -> int:
    """Count steps, those of branches included.

    Args:
        graph: A network.

    Returns:
        The number.
    """
    return sum(1 + (0 if step.branch is None else count_steps(step.branch)) for step in graph.steps)


def measure(graph: Graph, slack: float) -> Measured:
    """Prove the constant of every step and compose them.

    Args:
        graph: A network.
        slack: Relative excess over each claimed constant that is still worth proving.

    Returns:
        The constants.

    Raises:
        VerificationError: If a step is malformed or has no finite constant.
    """
    measured = Measured(graph, {}, {INPUT: 1.0}, {INPUT: graph.input_shape}, {})
    # One sample of zeros tells the shapes.
    values = {INPUT: np.zeros((1, *graph.input_shape))}
    for step in graph.steps:
        inputs = [values[name] for name in step.inputs]
        try:
            _measure_step(measured, step, inputs, slack)
            values[step.name] = apply_step(measured, step, [exact(x) for x in inputs])[0]
        except VerificationError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError) as error:
            raise VerificationError(f"{step.op} {step.name!r} is malformed: {error}") from error
        measured.shapes[step.name] = values[step.name].shape[1:]
    return measured


def _measure_step(measured: Measured, step: Step, inputs: list[Array], slack: float) -> None:
    before = [measured.cumulative[name] for name in step.inputs]
    if step.op in JOINS:
        if step.op in ROOTS:
            measured.cumulative[step.name] = root(plus(*(times(b, b) for b in before)))
        else:
            measured.cumulative[step.name] = plus(*before)
        # What comes before contributes its own slack.
        _compare(step, measured.cumulative[step.name], 1e-6)
        return
    if len(before) != 1:
        raise VerificationError(f"{step.op} {step.name!r} takes one input, not {len(before)}")
    shape = inputs[0].shape
    own = _branch(measured, step, shape, slack) if step.op in BRANCHES else step_constant(step, shape, slack)
    # Each step of a branch contributes its own slack.
    _compare(step, own, slack * (1 + (0 if step.branch is None else count_steps(step.branch))))
    measured.own[step.name] = own
    measured.cumulative[step.name] = times(before[0], own)


def _compare(step: Step, own: float, slack: float) -> None:
    if not own <= step.claimed * (1 + slack):
        raise VerificationError(
            f"the claimed constant {step.claimed!r} of {step.op} {step.name!r} could not be proved; "
            f"this checker proves {own!r}"
        )


def _branch(measured: Measured, step: Step, shape: Shape, slack: float) -> float:
    if step.branch is None:
        raise VerificationError(f"{step.op} {step.name!r} lacks its branch")
    # Constants hold for the shape that they are proved for, so it must be the shape that the branch gets.
    channels = shape[1] // 2 if step.op == "concat_residual" else shape[1]
    if step.branch.input_shape != (channels, *shape[2:]):
        raise VerificationError(
            f"input_shape={step.branch.input_shape} of the branch of {step.name!r} is not the shape of its input, "
            f"{(channels, *shape[2:])}"
        )
    branch = measure(step.branch, slack)
    measured.branches[step.name] = branch
    constant = branch.cumulative[step.branch.output]
    if step.op == "concat_residual":
        return max(1.0, constant)
    return min(root(plus(1.0, times(constant, constant)) / 2), max(1.0, constant))


def evaluate(measured: Measured, images: Array) -> Result:
    """Run a batch.

    Args:
        measured: The network with its constants.
        images: `(N, ...)`, exact.

    Returns:
        The output, and `(N,)` bounds of the l2 distance of each sample's output from that in real arithmetic.
    """
    values: dict[str, Result] = {INPUT: exact(images)}
    graph = measured.graph
    last = {name: i for i, step in enumerate(graph.steps) for name in step.inputs}
    for i, step in enumerate(graph.steps):
        with np.errstate(over="ignore", invalid="ignore"):
            values[step.name] = apply_step(measured, step, [values[name] for name in step.inputs])
        for name in step.inputs:
            if last[name] == i and name != graph.output:
                values.pop(name, None)
    return values[graph.output]


def apply_step(measured: Measured, step: Step, inputs: list[Result]) -> Result:
    """Run one step.

    Args:
        measured: The network with its constants.
        step: One of its steps.
        inputs: What it reads, with bounds of the errors.

    Returns:
        Its output, with the errors of its inputs carried along.
    """
    carried = inputs[0][1]
    for _, error in inputs[1:]:
        carried = carried + error
    if step.op in BRANCHES:
        y, local = _apply_branch(measured.branches[step.name], step, inputs[0][0])
    elif step.op in JOINS:
        y, local = JOINS[step.op](step, [x for x, _ in inputs])
    else:
        y, local = _RULES[step.op](step, inputs[0][0])
    own = measured.own.get(step.name, 1.0)
    return y, (carried * own + local) * SLACK + TINY


def _apply_branch(branch: Measured, step: Step, x: Array) -> Result:
    if step.op == "concat_residual":
        half = math.ceil(x.shape[1] / 2)
        kept, changed = x[:, :half], x[:, half:]
        image, error = evaluate(branch, changed)
        return np.concatenate([kept, image], 1), error
    image, error = evaluate(branch, x)
    if image.shape != x.shape:
        raise VerificationError(f"the branch of {step.name!r} changes the shape")
    y, rounding = rounded(np.sqrt((x * x + image * image) / 2), 5)
    return y, error + rounding


@dataclass(frozen=True, eq=False)
class Head:
    """What radii divide by.

    Attributes:
        kind: "linear", "joined" for logits that are put together from several vectors, or "global".
        node: The last linear step, or the output.
        constant: Of everything before it, or of the whole network.
        slopes: `(n_classes, n_classes)`: constant of each difference of logits, rounded up.
    """

    kind: str
    node: str
    constant: float
    slopes: Array


def find_head(measured: Measured, n_classes: int, linf: dict[str, float] | None = None) -> Head:
    """Find the linear part at the end and bound the constants of all differences of logits.

    Args:
        measured: The network with its constants.
        n_classes: Number of logits.
        linf: Constants from the input to each step in l_inf, if that is the norm; None for l2.

    Returns:
        The head.
    """
    graph, name = measured.graph, measured.graph.output
    cumulative = measured.cumulative if linf is None else linf
    window: slice | None = None
    while name != INPUT:
        step = graph.step(name)
        before = measured.shapes[step.inputs[0]]
        # A slice of classes, that is of flat entries, however the logits are arranged.
        flat = before[:1] == (math.prod(before),)
        if step.op == "slice" and step.attributes["axis"] == 0 and flat and window is None:
            window = slice(step.attributes["start"], step.attributes["stop"])
        elif step.op != "reshape":
            break
        name = step.inputs[0]
    rows = None if name == INPUT else _head_rows(measured, graph.step(name))
    if rows is None:
        constant = cumulative[graph.output]
        if is_joined(measured):
            return Head("joined", graph.output, constant, joined_slopes(measured, cumulative, linf is not None))
        slopes = np.full((n_classes, n_classes), times(root(2.0) if linf is None else 2.0, constant))
        np.fill_diagonal(slopes, 0.0)
        return Head("global", graph.output, constant, slopes)
    rows = rows if window is None else rows[window]
    constant = cumulative[graph.step(name).inputs[0]]
    return Head("linear", name, constant, _pair_norms(rows, linf is not None) * above(constant) * (1 + 2.0**-50))


def is_joined(measured: Measured) -> bool:
    """Say whether the logits are put together from several vectors.

    Args:
        measured: The network.

    Returns:
        Whether its output is a concatenation of vectors.
    """
    graph = measured.graph
    if graph.output == INPUT:
        return False
    return graph.step(graph.output).op == "concatenate" and len(measured.shapes[graph.output]) == 1


def joined_slopes(measured: Measured, constants: dict[str, float], sums: bool) -> Array:
    """Bound the constants of all differences of logits that are put together from several vectors.

    Args:
        measured: The network.
        constants: From the input to each step, `INPUT` included.
        sums: Are they in the maximum norm?

    Returns:
        `(n_classes, n_classes)`: L + M for logits of vectors with these constants, sqrt 2 L or 2 L for those of one;
        rounded up.
    """
    names = measured.graph.step(measured.graph.output).inputs
    owner = np.repeat(np.arange(len(names)), [math.prod(measured.shapes[name]) for name in names])
    own = np.array([constants[name] for name in names])[owner]
    apart = (own[:, None] + own) * (1 + 2.0**-50)
    together = own[:, None] * (2.0 if sums else root(2.0)) * (1 + 2.0**-50)
    slopes: Array = np.where(owner[:, None] == owner, together, apart)
    np.fill_diagonal(slopes, 0.0)
    return slopes


def _head_rows(measured: Measured, step: Step) -> Array | None:
    shape = measured.shapes[step.inputs[0]]
    if step.op == "linear" and len(shape) == 1:
        return step.arrays["weight"]
    if step.op != "conv2d" or math.prod(measured.shapes[step.name][1:]) != 1:
        return None
    weight = step.arrays["weight"]
    whole = step.attributes["groups"] == 1 and not any(step.attributes["pads"]) and weight.shape[1:] == shape
    return weight.reshape(len(weight), -1) if whole else None


def _pair_norms(rows: Array, sums: bool) -> Array:
    # Root sums of squares, or sums of sizes, which is what a row does to the maximum norm.
    exponent = math.frexp(float(np.abs(rows).max()))[1] if rows.any() else 0
    scaled = np.ldexp(rows, -exponent)
    result = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(scaled):
        difference = scaled - row
        sizes = np.abs(difference).sum(1) if sums else np.sqrt((difference * difference).sum(1))
        lengths = sizes * (1 + (rows.shape[1] + 8) * 2.0**-52) + 2.0**-520
        # Subnormal numbers round by more than the relative slack.
        above = np.nextafter(np.ldexp(lengths, exponent), np.inf)
        result[i] = np.where((rows != rows[i]).any(1), above, 0.0)
    return result
