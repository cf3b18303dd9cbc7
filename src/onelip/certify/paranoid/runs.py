"""Runs of dense steps as a whole, in balls: matrices C with x x^T <= C for all changes x of a signal.

The certificate names the steps and, for each activation, the numbers h. With v = m z + w and |w / h| <= |r z / h|, r
the half and m the middle of the range of slopes, a = r / h, B = D_a C D_a, F = D_m C D_a and G = D_m C D_m,

    v v^T <= G + F (I - B)^-1 F^T + D_h^2.

A float64 inverse Y only looks for the proof: (I - B)^-1 - Y = (I - B)^-1 (I - (I - B) Y), so that it is at most
Y + I rho / (1 - t), with B <= t I and rho a bound of the norm of the residual, both proved in balls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import INPUT, Array, Graph, Step, hexadecimal
from onelip.certify.paranoid.balls import (
    ONE,
    ZERO,
    Balls,
    absolute,
    collect,
    elementwise,
    exact,
    full,
    largest,
    matrix,
    product,
    root,
    square_root,
)
from onelip.certify.paranoid.composition import Composed, Shapes
from onelip.certify.paranoid.errors import NotCoveredError, require
from onelip.certify.paranoid.norms import LARGEST, SLACK, positive_definite
from onelip.certify.paranoid.operations import JOINS

SLOPES: dict[str, tuple[str, str]] = {
    "abs": ("-1", "1"),
    "clip": ("0", "1"),
    "gelu": ("-0.1290", "1.1290"),
    "gelu_tanh": ("-0.1300", "1.1300"),
    "hard_sigmoid": ("0", "0.16666668"),
    "log_sigmoid": ("0", "1"),
    "n_activation": ("-1", "1"),
    "relu": ("0", "1"),
    "sigmoid": ("0", "0.25"),
    "silu": ("-0.0999", "1.0999"),
    "soft_huber": ("-1", "1"),
    "softsign": ("0", "1"),
    "tanh": ("0", "1"),
    "tanh_shrink": ("0", "1"),
}
"""Least and largest slopes; f(x) - f(-x) = x for GELU and SiLU makes them add up to 1."""

_PAIRED = ("householder", "householder2", "maxmin")


@dataclass(frozen=True, eq=False)
class Run:
    """A run of steps.

    Attributes:
        source: Name of what enters it.
        end: Name of its last step.
        constant: Of the whole; a ball whose upper end is a bound.
        gaps: `(n, n)`: constants of the differences of its outputs.
    """

    source: str
    end: str
    constant: Any
    gaps: Balls


def prove_runs(graph: Graph, shapes: Shapes, claimed: list[Any]) -> list[Run]:
    """Prove the constants of runs.

    Args:
        graph: The network.
        shapes: Of a batch after each of its steps.
        claimed: What the certificate names: `nodes`, `mixed` and `radii` of each.

    Returns:
        The runs.

    Raises:
        NotCoveredError: If one is too large.
        VerificationError: If one is malformed, or its numbers prove nothing.
    """
    return [_prove(graph, shapes, row["nodes"], row["mixed"], row["radii"]) for row in claimed]


def _prove(graph: Graph, shapes: Shapes, names: list[str], mixed: bool, rows: list[list[str]]) -> Run:
    known = {step.name: step for step in graph.steps}
    steps, source = [known[name] for name in names], known[names[0]].inputs[0]
    radii = iter([exact([hexadecimal(h) for h in row]) for row in rows])
    cover: Balls | None = None
    before = source
    for step in steps:
        require(step.inputs == (before,), step, "it does not follow the step before it in a run")
        if math.prod(shapes[step.name][1:]) > LARGEST:
            raise NotCoveredError(f"the run of dense steps up to {names[-1]!r} is too large for ball arithmetic")
        cover = _image(step, shapes[before][1:], cover, mixed, radii)
        before = step.name
    if cover is None or next(radii, None) is not None:
        raise VerificationError(f"the numbers of the run of dense steps up to {before!r} do not fit it")
    return Run(source, before, _longest(cover), _gaps(cover))


def _image(step: Step, shape: tuple[int, ...], cover: Balls | None, mixed: bool, radii: Any) -> Balls | None:
    if step.op == "linear":
        require(len(shape) == 1, step, "it is not alone on its axis")
        weight = exact(step.arrays["weight"])
        return _multiplied(weight, cover)
    if cover is None:
        raise VerificationError(f"the run of dense steps begins with {step.op} {step.name!r}")
    if step.op in ("reshape", "shift"):
        return cover
    if step.op in ("scale", "batch_norm"):
        factors = _factors(step, shape)
        return cover * factors[:, None] * factors
    if step.op == "slice":
        start, stop = step.whole("start"), step.whole("stop")
        require(len(shape) == 1 and start < stop <= shape[0], step, f"range {start}:{stop}")
        return cover[start:stop, start:stop]
    h: Balls = next(radii, full((0,)))
    require(h.shape == (math.prod(shape),), step, f"{len(h)} numbers of a run")
    sums = _sums(step, shape) if mixed else None
    if sums is not None:
        table, contrasts, groups = sums
        live = exact(contrasts)
        inside = _bent(1 - live, live, _level(h, groups), _multiplied(exact(table), cover), step)
        return _multiplied(exact(table.T / (table * table).sum(1)), inside)
    low, high, groups = _ranges(step, shape)
    return _bent((low + high) / 2, (high - low) / 2, _level(h, groups), cover, step)


def _multiplied(weight: Balls, cover: Balls | None) -> Balls:
    return product(weight, weight.T) if cover is None else product(product(weight, cover), weight.T)


def _factors(step: Step, shape: tuple[int, ...]) -> Balls:
    if step.op == "scale":
        return full((math.prod(shape),), arb(step.number("factor")))
    require(len(shape) == 1, step, "it is not alone on its axis")
    variances = exact(step.arrays["variance"]) + arb(step.number("eps"))
    require(all(v > 0 for v in variances), step, "variance + eps must be positive")
    return exact(step.arrays.get("weight", np.ones(len(variances)))) / square_root(variances)


def _level(h: Balls, groups: npt.NDArray[np.int64]) -> Balls:
    # One number for each group.
    tops = {g: largest(h[groups == g]) for g in set(groups.tolist())}
    return collect([tops[g] for g in groups.tolist()], h.shape)


def _ranges(step: Step, shape: tuple[int, ...]) -> tuple[Balls, Balls, npt.NDArray[np.int64]]:
    n = math.prod(shape)
    alone, ones = np.arange(n), full((n,), ONE)
    if step.op in SLOPES:
        low, high = SLOPES[step.op]
        return ones * arb(low), ones * arb(high), alone
    if step.op in ("leaky_relu", "prelu"):
        stored = exact(step.arrays["slope"]) if step.op == "prelu" else exact([step.number("slope")])
        require(n % len(stored) == 0, step, f"{len(stored)} slopes")
        slopes = np.repeat(stored, n // len(stored))
        return elementwise(lambda s: s.min(ONE), 1)(slopes), elementwise(lambda s: s.max(ONE), 1)(slopes), alone
    require(step.op in ("beta_abs", "group_sort", *_PAIRED), step, "it is not known in runs")
    require(shape[step.whole("axis")] == n, step, "it is not alone on its axis")
    if step.op == "beta_abs":
        return exact(np.where(alone < step.whole("count"), -1.0, 1.0)), ones, alone
    size, half = step.whole("group_size", 1) if step.op == "group_sort" else 1, n // 2
    require(n % size == 0 and (n % 2 == 0 or step.op in ("group_sort", "maxmin")), step, "groups")
    return -ones, ones, alone // size if step.op == "group_sort" else np.where(alone < half, alone, alone - half)


def _sums(step: Step, shape: tuple[int, ...]) -> tuple[Array, npt.NDArray[np.bool_], npt.NDArray[np.int64]] | None:
    # Signs whose rows are sums and contrasts of groups that are sorted; which are contrasts; and the group of each row.
    n = math.prod(shape)
    if step.op not in ("group_sort", "maxmin"):
        return None
    require(shape[step.whole("axis")] == n, step, "it is not alone on its axis")
    if step.op == "maxmin":
        half = n // 2
        table: Array = np.eye(n)
        for i in range(half):
            table[i, i + half] = table[i + half, i] = 1
            table[i + half, i + half] = -1
        return table, (np.arange(n) >= half) & (np.arange(n) < 2 * half), np.arange(n)
    size = step.whole("group_size", 1)
    require(n % size == 0, step, "groups")
    if size == 1 or size & (size - 1):
        return None
    signs: Array = np.ones((1, 1))
    while len(signs) < size:
        signs = np.block([[signs, signs], [signs, -signs]])
    contrasts = np.arange(n) % size > 0
    table = np.asarray(np.kron(np.eye(n // size), signs), dtype=np.float64)
    return table, contrasts, np.where(contrasts, np.arange(n) // size, n + np.arange(n) // size)


def _bent(middle: Balls, spread: Balls, h: Balls, cover: Balls, step: Step) -> Balls:
    live = np.array([not r.is_zero() for r in spread], dtype=np.bool_)
    require(all(v > 0 and v.is_finite() for v in h[live]), step, "the numbers of a run must be positive")
    a = spread[live] / h[live]
    b = cover[np.ix_(live, live)] * a[:, None] * a
    squares = full(cover.shape)
    for i in np.flatnonzero(live):
        squares[i, i] = h[i] * h[i]
    if all(m == 0 for m in middle) and live.all():
        # B <= I suffices.
        if not _at_most(b, ONE):
            raise VerificationError(f"the numbers of the run of dense steps up to {step.name!r} prove nothing")
        return squares
    g = cover * middle[:, None] * middle
    if not live.any():
        return g
    f = cover[:, live] * middle[:, None] * a
    return g + product(product(f, _inverse(b, step)), f.T) + squares


def _at_most(b: Balls, top: Any) -> bool:
    return positive_definite(matrix(_identity(len(b), top) - b))


def _identity(n: int, value: Any) -> Balls:
    result = full((n, n))
    for i in range(n):
        result[i, i] = value
    return result


def _middle(b: Balls) -> npt.NDArray[np.float64]:
    return np.array([float(v.mid()) for v in b.flat]).reshape(b.shape)


def _inverse(b: Balls, step: Step) -> Balls:
    middle = _middle(b)
    fails = VerificationError(f"the numbers of the run of dense steps up to {step.name!r} prove nothing")
    if not np.isfinite(middle).all():
        raise fails
    values, vectors = np.linalg.eigh(middle)
    top = float(values[-1])
    tries = (arb(top + (1 - top) * share) for share in (1e-6, 1e-3, 0.5))
    bound = next((t for t in tries if t < 1 and _at_most(b, t)), None)
    if bound is None:
        raise fails
    y = (vectors / (1 - values)) @ vectors.T
    guess = exact((y + y.T) / 2)
    rest = _identity(len(b), ONE) - guess + product(b, guess)
    rows, columns = (largest(absolute(rest).sum(axis)) for axis in (0, 1))
    return guess + _identity(len(b), root(rows * columns) / (1 - bound))


def _longest(cover: Balls) -> Any:
    middle = _middle(cover)
    if not np.isfinite(middle).all():
        return ONE.pos_inf()
    top = float(np.linalg.eigvalsh(middle)[-1])
    rows: Any = root(largest(absolute(cover).sum(1)))
    for slack in SLACK:
        square = arb(top) * (1 + arb(slack))
        if square > 0 and _at_most(cover, square):
            return root(square)
    return rows


def _gaps(cover: Balls) -> Balls:
    diagonal = np.diagonal(cover)
    gaps = square_root(diagonal[:, None] + diagonal - 2 * cover)
    np.fill_diagonal(gaps, ZERO)
    return gaps


def shortened(graph: Graph, composed: Composed, runs: list[Run]) -> dict[str, Any]:
    """Compose constants again, with runs as a whole where that is smaller.

    Args:
        graph: The network.
        composed: Its constants.
        runs: What was proved of runs.

    Returns:
        Constant from the input to each step, `INPUT` included.
    """
    ends = {run.end: run for run in runs}
    constants = {INPUT: ONE}
    for step in graph.steps:
        before = [constants[name] for name in step.inputs]
        if step.op not in JOINS:
            value = before[0] * composed.own[step.name]
        elif step.op in ("add", "subtract"):
            value = sum(before, ZERO)
        else:
            value = root(sum((b * b for b in before), ZERO))
        if step.name in ends:
            run = ends[step.name]
            value = _lesser(value, constants[run.source] * run.constant)
        constants[step.name] = value
    return constants


def _lesser(a: Any, b: Any) -> Any:
    # Upper ends count.
    return a if a.upper() <= b.upper() or not b.is_finite() else b


def least_slopes(graph: Graph, slopes: Balls, runs: list[Run], constants: dict[str, Any]) -> Balls:
    """Bound the constants of all differences of logits, by runs that end at the output as well.

    Args:
        graph: The network.
        slopes: `(n_classes, n_classes)`, without.
        runs: What was proved of runs.
        constants: What `shortened` returned.

    Returns:
        The same shape.
    """
    for run in runs:
        if run.end == graph.output:
            slopes = elementwise(_lesser, 2)(slopes, run.gaps * constants[run.source])
    return slopes
