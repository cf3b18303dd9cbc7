"""The exact Wasserstein-1 distance between finite sets of points, with the function that proves it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from onelip.transport.sampler import probabilities

Array = npt.NDArray[np.float64]

MOST_PAIRS = 500_000
"""Largest number of pairs for which a linear programme is solved, in half a minute or so."""

_MOST_COPIES = 4000
"""Sets of different sizes are assigned to each other if so many copies in all make them equally large."""

_GAP = 1e-6
"""Largest distance of the two bounds of the value, relative to the largest distance of two points."""


@dataclass(frozen=True, eq=False)
class DiscreteTransport:
    """The distance of two weighted finite sets, and a 1-Lipschitz function that attains it.

    Attributes:
        value: Cost of the best plan: an upper bound of the distance up to rounding.
        dual_value: What the potential attains: a lower bound up to rounding; it equals `value` up to the solver's
            precision.
        potential_x: `(n,)` the potential at the first set.
        potential_y: `(m,)` the potential at the second.
        plan: The pairs that carry weight, `(3, k)`: places in the first set, in the second, and the weights.
        anchors: `(m, d)` the second set, flattened.
        heights: `(m,)` the numbers h of `min_j h_j + |z - y_j|`.
    """

    value: float
    dual_value: float
    potential_x: Tensor
    potential_y: Tensor
    plan: Tensor
    anchors: Tensor
    heights: Tensor

    def potential(self, z: Tensor) -> Tensor:
        """Compute the potential anywhere, `min_j h_j + |z - y_j|`: a minimum of cones, so exactly 1-Lipschitz.

        Args:
            z: `(k, *shape)`.

        Returns:
            `(k,)`, float64, the potential of the sets where z is in one of them.
        """
        return _lowest_cone(self.heights, _distances(z, self.anchors))


def discrete_wasserstein1(
    x: Tensor, y: Tensor, weights_x: Sequence[float] | None = None, weights_y: Sequence[float] | None = None
) -> DiscreteTransport:
    """Compute the exact Wasserstein-1 distance of two finite sets in l2, in float64; needs SciPy.

    Points without weights are an assignment problem, a few seconds for 2,000 and 2,000; of different numbers n and m
    too, repeated to lcm(n, m) <= 4,000 each. Others are a linear programme, for up to 500,000 pairs.

    Args:
        x: `(n, *shape)`.
        y: `(m, *shape)`.
        weights_x: `(n,)`, at least 0, of any positive sum; equal by default.
        weights_y: `(m,)`, likewise.

    Returns:
        The distance, and the potential that attains it.

    Raises:
        ValueError: The sets are empty, of different shapes or not finite, or there are too many pairs.
        ArithmeticError: The solver did not find the optimum.
        ModuleNotFoundError: SciPy is not installed.
    """
    _check_sets(x, y)
    anchors = y.detach().cpu().double().flatten(1)
    cost = _distances(x, anchors).numpy()
    a, b = (
        np.array(probabilities("discrete_wasserstein1", weights, n))
        for weights, n in zip((weights_x, weights_y), cost.shape, strict=True)
    )
    copies = math.lcm(len(x), len(y))
    if weights_x is None and weights_y is None and (len(x) == len(y) or copies <= _MOST_COPIES):
        plan, heights = _of_copies(cost, copies // len(x), copies // len(y))
    else:
        plan, heights = _linear_programme(cost, a, b)
    rows, columns = plan[0].astype(np.intp), plan[1].astype(np.intp)
    value = float(plan[2] @ cost[rows, columns])
    lowered = torch.from_numpy(heights - heights.mean())
    f_x = _lowest_cone(lowered, torch.from_numpy(cost))
    f_y = _lowest_cone(lowered, _distances(anchors, anchors))
    dual = float(torch.from_numpy(a) @ f_x - torch.from_numpy(b) @ f_y)
    if not abs(value - dual) <= _GAP * max(1e-300, cost.max()):
        raise ArithmeticError(f"the solver left a gap of {value - dual:.3g} between cost and dual value {dual:.6g}")
    return DiscreteTransport(value, dual, f_x, f_y, torch.from_numpy(plan), anchors, lowered)


def _check_sets(x: Tensor, y: Tensor) -> None:
    if x.ndim < 2 or x.shape[1:] != y.shape[1:] or 0 in (x.numel(), y.numel()):
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"x and y in discrete_wasserstein1 are {shapes}; they must be (n, *shape) and (m, *shape)")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise ValueError("x and y in discrete_wasserstein1 must be finite, and have infinity or NaN")


def _distances(x: Tensor, y: Tensor) -> Tensor:
    # By differences: the expansion of the square loses half the digits of short distances.
    flat = x.detach().cpu().double().flatten(1)
    return torch.cdist(flat, y, compute_mode="donot_use_mm_for_euclid_dist")


def _lowest_cone(heights: Tensor, distances: Tensor) -> Tensor:
    return (distances + heights).min(dim=1).values


def _of_copies(cost: Array, copies_x: int, copies_y: int) -> tuple[Array, Array]:
    plan, heights = _assignment(cost.repeat(copies_x, axis=0).repeat(copies_y, axis=1))
    plan[0] //= copies_x
    plan[1] //= copies_y
    return plan, heights.reshape(-1, copies_y).min(axis=1)


def _assignment(cost: Array) -> tuple[Array, Array]:
    optimize = _scipy_optimize()
    rows, columns = optimize.linear_sum_assignment(cost)
    n = len(rows)
    plan = np.stack([rows, columns, np.full(n, 1.0 / n)]).astype(np.float64)
    # Heights h with h_s(i) <= h_j + C_ij - C_is(i), s the assignment, exist as no cycle is shorter than 0: shortest
    # paths from an extra point at distance 0 of all, by Bellman and Ford. Rounding may leave cycles a little below 0.
    steps = cost - cost[rows, columns][:, None]
    heights = np.zeros(n)
    least = 1e-14 * cost.max()
    for _ in range(n):
        shorter = (steps + heights).min(axis=1)
        change = (heights[columns] - shorter).max()
        heights[columns] = shorter
        if change <= least:
            break
    return plan, heights


def _linear_programme(cost: Array, a: Array, b: Array) -> tuple[Array, Array]:
    if cost.size > MOST_PAIRS:
        n, m = cost.shape
        raise ValueError(
            f"{n} and {m} points in discrete_wasserstein1 make more than {MOST_PAIRS:,} pairs; "
            "take equally many without weights, or fewer"
        )
    optimize = _scipy_optimize()
    from scipy import sparse

    n, m = cost.shape
    sums = sparse.vstack([sparse.kron(sparse.eye(n), np.ones((1, m))), sparse.kron(np.ones((1, n)), sparse.eye(m))])
    # One of the equations follows from the others; without it rounding cannot make them contradict each other.
    solved = optimize.linprog(cost.ravel(), A_eq=sums.tocsr()[:-1], b_eq=np.concatenate([a, b])[:-1], method="highs")
    if solved.status != 0:
        raise ArithmeticError(f"the linear programme of discrete_wasserstein1 was not solved: {solved.message}")
    plan = _exact_sums(np.maximum(solved.x.reshape(n, m), 0.0), a, b)
    heights = -np.append(solved.eqlin.marginals[n:], 0.0)
    rows, columns = np.nonzero(plan)
    return np.stack([rows, columns, plan[rows, columns]]).astype(np.float64), heights


def _exact_sums(plan: Array, a: Array, b: Array) -> Array:
    # A plan whose sums are nearly right becomes one with the right sums, by the rounding of Altschuler et al. 2017.
    for sums, axis in ((a, 1), (b, 0)):
        have = plan.sum(axis=axis)
        scale = np.divide(sums, have, out=np.ones_like(have), where=have > sums)
        plan = plan * np.expand_dims(scale, axis)
    left_a, left_b = (np.maximum(sums - plan.sum(axis=axis), 0.0) for sums, axis in ((a, 1), (b, 0)))
    left = left_a.sum()
    # What rounding leaves is let be: spread over all pairs, it would fill the plan with dust.
    return plan + np.outer(left_a, left_b) / left if left > 1e-14 else plan


def _scipy_optimize() -> Any:
    try:
        from scipy import optimize
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "exact discrete distances need SciPy; install it with: pip install 'onelip[transport]'"
        ) from error
    return optimize
