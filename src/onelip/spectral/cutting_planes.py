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

_FALL = 0.8
"""Where the map is not affine in the weights, a round lowers the norm to this share of it at most."""

_PATIENCE, _PROGRESS = 6, 0.8
"""So many rounds that leave more than this share of the excess are the last."""

_RISE = 1.1
"""Rounds that raise the norm more than this are halved."""

_INSIDE = 1e-3
"""What is aimed at below the bound, relative, if what is left cannot be divided off."""

_TOLS = (2e-4, 5e-3)
_STEPS = 200
_NOISE = 0.3
"""Length of what is added to each unit vector that a search starts from: exact ones would hide what is elsewhere."""

_RIDGE = 1e-7


def clip_by_cutting_planes_(
    module: nn.Module, input_shape: tuple[int, ...], max_norm: float, *, tol: float = 3e-3
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
    homogeneous = bool(map_.homogeneous())
    planes = _Planes(map_, max_norm if homogeneous else max_norm * (1 - _INSIDE))
    enough = max_norm * (1 + tol) if homogeneous else max_norm
    search = _Search(module, input_shape, max_norm)
    w, best, lowest = map_.start, map_.start, [float("inf")]
    for _ in range(_MOST_ROUNDS):
        map_.write_(w)
        top = search.top()
        value = float(top.values[0])
        if not value <= _RISE * lowest[-1]:
            # The constraints of a map that is not affine in the weights hold near by only.
            w = (w + best) / 2
            continue
        best = w if value < lowest[-1] else best
        lowest.append(min(value, lowest[-1]))
        if value <= enough or _stalls(lowest, max_norm):
            break
        w = planes.cut(w, top)
    map_.write_(best)


def _stalls(lowest: list[float], max_norm: float) -> bool:
    return len(lowest) > _PATIENCE + 1 and lowest[-1] - max_norm > _PROGRESS * (lowest[-1 - _PATIENCE] - max_norm)


class _Search:
    """Finds the top triplets, from those that were found last, and more of them where many are near the bound."""

    def __init__(self, module: nn.Module, input_shape: tuple[int, ...], bound: float) -> None:
        self._module, self._input_shape, self._bound = module, input_shape, bound
        self._k, self._tol = _LEAST_TRIPLETS, _TOLS[1]
        self._start: Tensor | None = None
        self._generator = torch.Generator().manual_seed(0)

    def top(self) -> SingularValues:
        operator = AffineMap(self._module, self._input_shape)
        k = min(self._k, operator.n_inputs, operator.n_outputs)
        found = singular_values(operator, None, k, self._tol, max_iter=_STEPS, start=self._start)
        noise = torch.randn(found.right.shape, generator=self._generator) / operator.n_inputs**0.5
        self._start = found.right + _NOISE * noise.to(found.right)
        excess = float(found.values[0]) / self._bound - 1
        self._tol = min(max(excess / 10, _TOLS[0]), _TOLS[1])
        if float(found.values[-1]) > self._bound * (1 - _NEAR):
            self._k = min(2 * self._k, _MOST_TRIPLETS)
        return found


class _Planes:
    """Constraints <g, w> <= r on the weights, from triplets."""

    def __init__(self, map_: WeightedMap, bound: float) -> None:
        self._map, self._bound = map_, bound
        self._affine = map_.is_affine_in_weights()
        self._normals = map_.start.new_zeros(0, len(map_.start))
        self._levels = map_.start.new_zeros(0)

    def cut(self, w: Tensor, top: SingularValues) -> Tensor:
        # Further down at once, linear constraints of a map that is not affine tell nothing.
        bound = self._bound if self._affine else max(self._bound, _FALL * float(top.values[0]))
        above = top.values.to(w) > bound * (1 - _NEAR)
        left, right = top.left.flatten(1)[above], top.right.flatten(1)[above]
        normals = torch.stack([self._map.pull(w, u[None], v[None]) for u, v in zip(left, right, strict=True)])
        levels = bound - top.values.to(w)[above] + normals @ w
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
