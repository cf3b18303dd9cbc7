"""Descent on what singular values exceed a bound by, with the matrix of the map formed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onelip.spectral.weighted_map import WeightedMap

_HELD = 30.0
"""Weight of the excess against the move in the first stage, times the square norm of the derivative."""

_FIRST_EVALUATIONS = 14
_MOST_EVALUATIONS = 400
_PAIRS = 20

INSIDE = 3e-4
"""How far inside the bound, relative, descent aims, as it nears its aim from above."""


def descend(map_: WeightedMap, max_norm: float) -> Tensor:
    """Find weights near those of a map at which its norm is at most a bound.

    E(w) = 1/2 sum_i (sigma_i(A(w)) - c)_+^2 has the gradient J(w)* U (S - c)_+ V^T, for which all triplets above the
    bound work together. First E(w) + |w - start|^2 / (2 rho) is minimised, which for maps that are affine in w is near
    the nearest point that there is, then E alone from there. Both by L-BFGS with a strong Wolfe search.

    Args:
        map_: Of few enough entries for singular value decompositions.
        max_norm: The bound.

    Returns:
        `(p,)`, weights; the bound does not hold if it cannot be reached, or not in the evaluations allowed.

    Cost: about 30 decompositions.
    """
    excess = _Excess(map_, max_norm * (1 - INSIDE))
    square = square_norm(map_)
    rho = _HELD / square

    def held(w: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = excess(w)
        move = w - map_.start
        return (value + move @ move / (2 * rho)) / square, (gradient + move / rho) / square

    def free(w: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = excess(w)
        return value / square, gradient / square

    w = _lbfgs(map_.start, held, lambda _: False, _FIRST_EVALUATIONS)
    return _lbfgs(w, free, lambda w: spectral_norm(map_.matrix(w)) <= max_norm, _MOST_EVALUATIONS)


def spectral_norm(matrix: Tensor) -> float:
    """Give the largest singular value of a matrix.

    Args:
        matrix: `(m, n)`, not empty.

    Returns:
        The norm.
    """
    return float(torch.linalg.matrix_norm(matrix, 2))


def square_norm(map_: WeightedMap, n_iter: int = 15) -> float:
    """Estimate |J|^2, J the derivative of the map's matrix in its weights, where it starts.

    Args:
        map_: With weights.
        n_iter: Power iterations.

    Returns:
        A little more than the estimate from below; 1 if the derivative is 0.
    """
    w = map_.start
    here = map_.matrix(w)
    identity = torch.eye(len(here), dtype=w.dtype, device=w.device)
    generator = torch.Generator().manual_seed(0)
    d = torch.randn(len(w), generator=generator, dtype=torch.float64).to(w)
    # Differences, which are exact for maps that are affine in the weights.
    width = 1e-3 * float(w.norm()) or 1.0
    square = 0.0
    for _ in range(n_iter):
        rows = (map_.matrix(w + width * d / d.norm()) - here) / width
        d = map_.pull(w, identity, rows)
        square = float(d.norm())
        if square == 0:
            return 1.0
    return 1.02 * square


class _Excess:
    """Half the sum of squares of what singular values exceed a bound by, and its gradient."""

    def __init__(self, map_: WeightedMap, bound: float) -> None:
        self._map, self._bound = map_, bound

    def __call__(self, w: Tensor) -> tuple[Tensor, Tensor]:
        u, s, vh = torch.linalg.svd(self._map.matrix(w), full_matrices=False)
        above = (s - self._bound).clamp(min=0)
        rank = max(1, int((above > 0).sum()))
        gradient = self._map.pull(w, (u[:, :rank] * above[:rank]).mT, vh[:rank])
        return above.square().sum() / 2, gradient


def _lbfgs(
    start: Tensor,
    objective: Callable[[Tensor], tuple[Tensor, Tensor]],
    done: Callable[[Tensor], bool],
    most: int,
) -> Tensor:
    w = start.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [w],
        max_iter=1,
        max_eval=most,
        history_size=_PAIRS,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )
    count = 0

    def evaluate() -> Tensor:
        nonlocal count
        count += 1
        value, w.grad = objective(w.detach())
        return value

    while count < most and not done(w.detach()):
        before = w.detach().clone()
        search.step(evaluate)
        if torch.equal(before, w.detach()):
            break
    return w.detach()
