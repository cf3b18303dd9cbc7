"""Prove again the constants of runs of dense steps as a whole, from the radii that a certificate names. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import above, plus, root, times
from onelip.certify.checker.ellipsoids import Cover, bent, cut, gaps, longest, multiplied, stretched
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import Head, Measured, joined_slopes
from onelip.certify.checker.network import INPUT, Array, Step, hexadecimal
from onelip.certify.checker.operations import JOINS

Shape = tuple[int, ...]
Groups = npt.NDArray[np.intp]
Sums = tuple[Array, npt.NDArray[np.bool_], Groups]
"""A matrix of sums and contrasts, which of its rows are contrasts, and the group of each row."""

SLOPES: dict[str, tuple[float, float]] = {
    "abs": (-1.0, 1.0),
    "clip": (0.0, 1.0),
    "gelu": (-0.1290, 1.1290),
    "gelu_tanh": (-0.1300, 1.1300),
    "hard_sigmoid": (0.0, 0.16666668),
    "log_sigmoid": (0.0, 1.0),
    "n_activation": (-1.0, 1.0),
    "relu": (0.0, 1.0),
    "sigmoid": (0.0, 0.25),
    "silu": (-0.0999, 1.0999),
    "soft_huber": (-1.0, 1.0),
    "softsign": (0.0, 1.0),
    "tanh": (0.0, 1.0),
    "tanh_shrink": (0.0, 1.0),
}
"""Least and largest slope of activations without options that matter."""

_STILL = ("reshape", "shift")


@dataclass(frozen=True, eq=False)
class Proved:
    """A run of steps with the checker's own constants.

    Attributes:
        source: Name of what enters it.
        end: Name of its last step.
        value: Constant of the whole.
        gaps: Constants of the differences of all pairs of its outputs.
    """

    source: str
    end: str
    value: float
    gaps: Array


def prove_segments(measured: Measured, claimed: Any) -> list[Proved]:
    """Prove the constants of the runs that a certificate names.

    Args:
        measured: The network with its constants.
        claimed: List of objects with `nodes`, `mixed` and `radii`.

    Returns:
        The proofs.

    Raises:
        VerificationError: If a run is malformed or its radii prove nothing.
    """
    try:
        return [_prove(measured, row["nodes"], row["mixed"], row["radii"]) for row in claimed]
    except VerificationError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError) as error:
        raise VerificationError(f"a run of dense steps is malformed: {type(error).__name__} {error}") from error


def _prove(measured: Measured, names: Any, mixed: Any, rows: Any) -> Proved:
    if not isinstance(names, list) or not names or type(mixed) is not bool:
        raise VerificationError("a run of dense steps must name its nodes and say whether sums are followed")
    known = {step.name: step for step in measured.graph.steps}
    steps = [known[name] for name in names]
    radii = [np.array([hexadecimal(r) for r in row], dtype=np.float64) for row in rows]
    cover: Cover | None = None
    before = steps[0].inputs
    for i, step in enumerate(steps):
        if step.inputs != before or len(before) != 1:
            raise VerificationError(f"{step.name!r} does not follow the step before it in a run of dense steps")
        if (i == 0) != (cover is None):
            raise VerificationError(f"the radii of the run of dense steps up to {step.name!r} prove nothing")
        cover = _image(step, measured.shapes[before[0]], cover, mixed, radii)
        before = (step.name,)
    if cover is None or radii:
        raise VerificationError(f"the radii of the run of dense steps up to {before[0]!r} do not fit it")
    return Proved(steps[0].inputs[0], steps[-1].name, longest(cover), gaps(cover))


def _image(step: Step, shape: Shape, cover: Cover | None, mixed: bool, radii: list[Array]) -> Cover | None:
    if step.op == "linear":
        _require(len(shape) == 1, step)
        return multiplied(step.arrays["weight"], cover)
    _require(cover is not None, step)
    if step.op in _STILL:
        return cover
    n = math.prod(shape)
    if step.op in _PLAIN and cover is not None:
        return _PLAIN[step.op](step, shape, cover)
    row = radii.pop(0)
    _require(row.shape == (n,) and cover is not None, step)
    if cover is None:
        return None
    if mixed and step.op in ("maxmin", "group_sort"):
        sums = _sums(step, shape)
        if sums is not None:
            return _sorted(sums, row, cover)
    low, high, groups = _slopes(step, shape)
    # Halves and differences are rounded once each; where both slopes agree, the middle is exact.
    middle = (low + high) / 2
    spread = np.where(low == high, 0.0, np.maximum(high - middle, 0) + (np.abs(low) + np.abs(high)) * 2.0**-50)
    return bent(middle, spread, _level(row, groups), cover)


def _require(fits: bool, step: Step) -> None:
    if not fits:
        raise VerificationError(f"{step.op} {step.name!r} does not fit into a run of dense steps")


def _level(row: Array, groups: Groups) -> Array:
    # One radius for each group.
    result: Array = np.array([row[groups == g].max() for g in groups])
    return result


def _scale(step: Step, shape: Shape, cover: Cover) -> Cover:
    return stretched(np.full(math.prod(shape), step.number("factor")), 0, cover)


def _batch_norm(step: Step, shape: Shape, cover: Cover) -> Cover:
    _require(len(shape) == 1, step)
    sums = step.arrays["variance"] + step.number("eps")
    _require(bool((sums > 0).all() and (step.arrays["variance"] >= 0).all()), step)
    factors = step.arrays.get("weight", np.ones(len(sums))) / np.sqrt(sums)
    return stretched(factors, 4, cover)


def _slice(step: Step, shape: Shape, cover: Cover) -> Cover:
    start, stop = step.whole("start"), step.whole("stop")
    _require(len(shape) == 1 and step.whole("axis") == 0 and start < stop <= shape[0], step)
    return cut(start, stop, cover)


_PLAIN: dict[str, Callable[[Step, Shape, Cover], Cover]] = {
    "batch_norm": _batch_norm,
    "scale": _scale,
    "slice": _slice,
}


def _slopes(step: Step, shape: Shape) -> tuple[Array, Array, Groups]:
    # Least and largest slopes, and groups: entries of a group of several are bounded together.
    n = math.prod(shape)
    single = np.arange(n)
    if step.op in SLOPES:
        low, high = SLOPES[step.op]
        return np.full(n, low), np.full(n, high), single
    if step.op == "leaky_relu":
        slope = step.number("slope")
        return np.full(n, min(1.0, slope)), np.full(n, max(1.0, slope)), single
    if step.op == "prelu":
        stored = step.arrays["slope"]
        slopes = np.repeat(stored, n // len(stored))
        _require(slopes.shape == (n,), step)
        return np.minimum(slopes, 1.0), np.maximum(slopes, 1.0), single
    _require(step.op in ("beta_abs", *_GROUPED) and shape[step.whole("axis")] == n, step)
    if step.op == "beta_abs":
        return np.where(single < step.whole("count"), -1.0, 1.0), np.ones(n), single
    if step.op == "group_sort":
        size = step.whole("group_size", 1)
        _require(n % size == 0, step)
        return -np.ones(n), np.ones(n), single // size
    _require(n % 2 == 0 or step.op == "maxmin", step)
    return -np.ones(n), np.ones(n), np.where(single < n // 2, single, single - n // 2)


_GROUPED = ("group_sort", "householder", "householder2", "maxmin")

DENSE_OPS = frozenset({"linear", "leaky_relu", "prelu", "beta_abs", *SLOPES, *_STILL, *_PLAIN, *_GROUPED})
"""Operations that runs may consist of."""


def _sums(step: Step, shape: Shape) -> Sums | None:
    # Rows of sums and of contrasts over sorted groups, which rows are contrasts, and the group of each.
    n = math.prod(shape)
    _require(shape[step.whole("axis")] == n, step)
    if step.op == "maxmin":
        half = n // 2
        matrix = np.eye(n)
        first, second = np.arange(half), np.arange(half, 2 * half)
        matrix[first, second] = matrix[second, first] = 1.0
        matrix[second, second] = -1.0
        return matrix, (np.arange(n) >= half) & (np.arange(n) < 2 * half), np.arange(n)
    size = step.whole("group_size", 1)
    _require(n % size == 0, step)
    if size < 2 or size & (size - 1):
        return None
    block: Array = np.ones((1, 1))
    while len(block) < size:
        block = np.kron(np.array([[1.0, 1.0], [1.0, -1.0]]), block)
    blocks = np.asarray(np.kron(np.eye(n // size), block), dtype=np.float64)
    contrasts, group = np.arange(n) % size > 0, np.arange(n) // size
    return blocks, contrasts, np.where(contrasts, group, group + n)


def _sorted(sums: Sums, row: Array, cover: Cover) -> Cover | None:
    # Sums pass unchanged; contrasts of a group, all rows of one length, do not get longer together.
    matrix, contrasts, groups = sums
    spread = contrasts.astype(np.float64)
    inside = bent(1.0 - spread, spread, _level(row, groups), multiplied(matrix, cover))
    # The inverse, exactly: rows are orthogonal, their squared lengths powers of two.
    return None if inside is None else multiplied(matrix.T / (matrix * matrix).sum(1), inside)


def least_slopes(measured: Measured, head: Head, proofs: list[Proved], constants: dict[str, float]) -> Array:
    """Bound the constants of all differences of logits.

    Args:
        measured: The network with its constants.
        head: Its head, by products.
        proofs: Of runs.
        constants: What `shortened` returned.

    Returns:
        `(n_classes, n_classes)`, none above the head's own.
    """
    slopes = head.slopes
    graph = measured.graph
    before = graph.step(head.node).inputs[0] if head.kind == "linear" else graph.output
    if head.kind == "joined":
        # Each vector is shortened by itself.
        slopes = np.minimum(slopes, joined_slopes(measured, constants, False))
    elif 0 < head.constant < math.inf:
        slopes = np.minimum(slopes, slopes * (constants[before] / head.constant * (1 + 2.0**-49)) + 2.0**-1000)
    for proof in proofs:
        if proof.end == graph.output:
            entering = constants[proof.source]
            with np.errstate(invalid="ignore", over="ignore"):
                gaps = np.nan_to_num(proof.gaps * above(entering) * (1 + 2.0**-50), nan=np.inf, posinf=np.inf)
            slopes = np.minimum(slopes, gaps)
    return slopes


def shortened(measured: Measured, proofs: list[Proved]) -> dict[str, float]:
    """Compose constants again, with runs as a whole where that is smaller.

    Args:
        measured: The network with its constants.
        proofs: Of the runs.

    Returns:
        Constant from the input to each step, `INPUT` included.
    """
    ends = {proof.end: proof for proof in proofs}
    constants = {INPUT: 1.0}
    for step in measured.graph.steps:
        before = [constants[name] for name in step.inputs]
        if step.op not in JOINS:
            value = times(before[0], measured.own[step.name])
        elif step.op == "concatenate":
            value = root(plus(*(times(b, b) for b in before)))
        else:
            value = plus(*before)
        if step.name in ends:
            value = min(value, times(constants[ends[step.name].source], ends[step.name].value))
        constants[step.name] = value
    return constants
