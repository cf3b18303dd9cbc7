"""Clipping without a matrix: top singular triplets cut the space of weights, and the nearest point left is taken."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onelip.spectral.affine_map import AffineMap
from onelip.spectral.singular_values import SingularValues, singular_values
from onelip.spectral.weighted_map import WeightedMap

_LEAST_TRIPLETS = 4
_MOST_TRIPLETS = 48
_MOST_ROUNDS = 40
_NEAR = 0.02
"""Values this near below the bound, relative, are held down as well."""

_RIDGE = 1e-7


def clip_by_cutting_planes_(
    module: nn.Module, input_shape: tuple[int, ...], max_norm: float, *, tol: float = 1e-3
) -> None:
    """Lower the norm of an affine module by constraints on its top singular triplets, without its matrix.

    If (sigma_i, u_i, v_i) are the top triplets of A(w), then the gradients g_i of <u_i, A(w) v_i> in the weights w give
    linear constraints sigma_i + <g_i, w' - w> <= max_norm, which every w' with |A(w')| <= max_norm obeys where A is
    affine in w. The nearest point that obeys all constraints found so far is a small quadratic program; its map has
    other triplets at the top, and so on until the norm is right. For a dense layer one round with all triplets above is
    deflation. Composites are linearised, so there the nearest point to the current weights is taken, by the
    constraints of the round alone.

    Args:
        module: Affine, in eval mode; changed in place. It may stay above the bound if triplets above it are many.
        input_shape: Shape of one input, without the batch.
        max_norm: What the norm is to be at most.
        tol: Relative excess at which to stop, if the map is proportional to one of its weights.

    Cost: a few top singular values, and as many gradients, a round.
    Paper: Ebrahimpour-Boroojeny, Telgarsky and Sundaram 2024, arXiv:2402.16017 (a gradient step on one triplet).
    """
    map_ = WeightedMap(module, input_shape)
    planes = _Planes(map_, max_norm if map_.homogeneous() else max_norm * (1 - tol))
    enough = max_norm * (1 + tol) if map_.homogeneous() else max_norm
    w, start, k = map_.start, None, _LEAST_TRIPLETS
    best, lowest = w, float("inf")
    for _ in range(_MOST_ROUNDS):
        map_.write_(w)
        top = _top(module, input_shape, k, start)
        value = float(top.values[0])
        if value < lowest:
            best, lowest = w, value
        if value <= enough:
            break
        w = planes.cut(w, top)
        start = top.right
        if float(top.values[-1]) > max_norm * (1 - _NEAR):
            k = min(2 * k, _MOST_TRIPLETS)
    map_.write_(best)


def _top(module: nn.Module, input_shape: tuple[int, ...], k: int, start: Tensor | None) -> SingularValues:
    operator = AffineMap(module, input_shape)
    k = min(k, operator.n_inputs, operator.n_outputs)
    return singular_values(operator, None, k, 2e-4, max_iter=400, start=start)


class _Planes:
    """Constraints <g, w> <= r on the weights, from triplets."""

    def __init__(self, map_: WeightedMap, bound: float) -> None:
        self._map, self._bound = map_, bound
        self._affine = map_.is_affine_in_weights()
        self._normals = map_.start.new_zeros(0, len(map_.start))
        self._levels = map_.start.new_zeros(0)

    def cut(self, w: Tensor, top: SingularValues) -> Tensor:
        above = top.values.to(w) > self._bound * (1 - _NEAR)
        left, right = top.left.flatten(1)[above], top.right.flatten(1)[above]
        normals = torch.stack([self._map.pull(w, u[None], v[None]) for u, v in zip(left, right, strict=True)])
        levels = self._bound - top.values.to(w)[above] + normals @ w
        if self._affine:
            normals, levels = torch.cat([self._normals, normals]), torch.cat([self._levels, levels])
        centre = self._map.start if self._affine else w
        wide = normals.double()
        multipliers = nonnegative(wide @ wide.mT, wide @ centre.double() - levels.double()).to(w)
        # Constraints that are not felt come back as new ones if they are missed.
        felt = multipliers > 0
        self._normals, self._levels = normals[felt], levels[felt]
        return centre - multipliers @ normals


def nonnegative(gram: Tensor, target: Tensor) -> Tensor:
    """Minimise l^T H l / 2 - h^T l over l >= 0.

    Args:
        gram: `(r, r)`, H, symmetric and positive semidefinite.
        target: `(r,)`, h.

    Returns:
        `(r,)`, l, with at most rounding and a tiny ridge in the way of optimality.

    Paper: Lawson and Hanson 1974, chapter 23 (active sets).
    """
    like, gram, target = target, gram.double().cpu(), target.double().cpu()
    scale = gram.diagonal().clamp(min=torch.finfo(torch.float64).tiny).sqrt()
    gram, target = gram / scale / scale[:, None], target / scale
    gram = gram + _RIDGE * torch.eye(len(gram), dtype=torch.float64)
    solution = torch.zeros_like(target)
    free = torch.zeros(len(target), dtype=torch.bool)
    slack = 1e-12 * float(target.abs().max()) if len(target) else 0.0
    for _ in range(3 * len(target)):
        ascent = torch.where(free, -torch.inf, target - gram @ solution)
        if not bool((ascent > slack).any()):
            break
        free[int(ascent.argmax())] = True
        solution = _descend(gram, target, solution, free)
    return (solution / scale).to(like)


def _descend(gram: Tensor, target: Tensor, solution: Tensor, free: Tensor) -> Tensor:
    # Go towards the minimum over the free ones, and bind those that would become negative on the way.
    while True:
        wanted = torch.zeros_like(solution)
        factor = torch.linalg.cholesky(gram[free][:, free])
        wanted[free] = torch.cholesky_solve(target[free, None], factor)[:, 0]
        negative = free & (wanted <= 0)
        if not bool(negative.any()):
            return wanted
        ratios = solution[negative] / (solution[negative] - wanted[negative])
        solution = solution + float(ratios.min()) * (wanted - solution)
        free &= ~(negative & (solution <= 1e-14 * float(solution.max())))
        solution = torch.where(free, solution, 0.0)
