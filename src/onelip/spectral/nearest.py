"""The nearest weights whose map obeys a bound on its norm: a convex projection, with a proof of how near."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.spectral.shrinking import Factors, Shrinking, spectral_norms

_CHECK_EVERY = 3


@dataclass(frozen=True, eq=False)
class Nearest:
    """What a projection found.

    Attributes:
        point: `(p,)` or any shape of weights.
        dual: `(..., m, n)`, from which a projection of nearby weights may start.
        excess: Of the largest block norm over its bound, relative, before it was divided off.
        distance: From where it started, in Frobenius norm.
        least_distance: No weights whose map obeys the bound are nearer.
        n_iter: Steps taken.
    """

    point: Tensor
    dual: Tensor
    excess: float
    distance: float
    least_distance: float
    n_iter: int


def nearest(
    start: Tensor,
    image: Callable[[Tensor], Tensor],
    pull: Callable[[Factors], Tensor],
    bound: Tensor,
    *,
    step: float,
    tol: float = 5e-3,
    gap: float = 0.02,
    max_iter: int = 300,
    dual: Tensor | None = None,
) -> Nearest:
    """Project weights onto those whose map has small norm: minimise |w - start| subject to |M_b(w)|_2 <= bound_b.

    The dual problem, maximise <L, M(start)> - |M* L|^2 / 2 - sum_b bound_b |L_b|_* over matrices L, is smooth but for a
    nuclear norm, whose proximal map shrinks singular values; accelerated gradient steps with restarts solve it, and
    w = start - M* L. Every dual value gives a lower bound of the distance. What excess is left is divided off.

    Args:
        start: Weights of any shape.
        image: M, weights to `(..., m, n)`, real or complex, linear.
        pull: M*, the adjoint of M in the real inner product.
        bound: `(...)`, of each block.
        step: 1 / |M|^2.
        tol: Relative excess, to be divided off, at which to stop.
        gap: Relative excess of the squared distance over the dual's lower bound at which to stop.
        max_iter: Most steps.
        dual: Where to start.

    Returns:
        The weights, for which the bound holds.

    Paper: Beck and Teboulle 2009 (FISTA); O'Donoghue and Candes 2015, arXiv:1204.3982 (restarts).
    """
    here = image(start)
    old = torch.zeros_like(here) if dual is None else dual
    old_image = here if dual is None else image(start - pull(_factors(dual)))
    at, at_image, momentum = old, old_image, 1.0
    shrink = Shrinking()
    for n_iter in range(1, max_iter + 1):
        factors, shrunk = shrink(at + step * at_image, step * bound)
        new = factors.full
        point = start - pull(factors)
        new_image = image(point)
        last = n_iter == max_iter
        if n_iter % _CHECK_EVERY == 0 or n_iter == 1 or last:
            least = _least_distance(start - point, new, new_image, float((bound * shrunk.sum(-1)).sum()))
            # Norms from below are cheap, and show that there is more to do.
            found = _obeying(start, point, shrink.norms_from_below(new_image) / bound)
            if last or found.near(least, tol, gap):
                found = _obeying(start, point, spectral_norms(new_image) / bound)
                if last or found.near(least, tol, gap):
                    break
        if _inner(at - new, new - old) > 0:
            momentum = 1.0
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        speed = (momentum - 1) / following
        at, at_image = torch.lerp(old, new, 1 + speed), torch.lerp(old_image, new_image, 1 + speed)
        old, old_image, momentum = new, new_image, following
    return Nearest(found.point, new, found.excess, found.distance, least, n_iter)


@dataclass(frozen=True, eq=False)
class _Obeying:
    point: Tensor
    excess: float
    distance: float

    def near(self, least: float, tol: float, gap: float) -> bool:
        return self.excess <= tol and self.distance**2 <= (1 + gap) * least**2


def _obeying(start: Tensor, point: Tensor, ratios: Tensor) -> _Obeying:
    excess = float(ratios.max()) - 1
    point = point / (1 + max(excess, 0.0))
    return _Obeying(point, excess, float((start - point).norm()))


def _factors(dual: Tensor) -> Factors:
    return Factors(torch.eye(dual.shape[-2], dtype=dual.dtype, device=dual.device).expand(*dual.shape[:-1], -1), dual)


def _least_distance(move: Tensor, dual: Tensor, image: Tensor, cost: float) -> float:
    # The dual's value, by <L, M(start)> = <L, M(w)> + |M* L|^2.
    value = _inner(dual, image) + float(move.norm()) ** 2 / 2 - cost
    return (2 * max(value, 0.0)) ** 0.5


def _inner(a: Tensor, b: Tensor) -> float:
    a, b = (torch.view_as_real(x.resolve_conj()) if x.is_complex() else x for x in (a, b))
    return float(a.flatten() @ b.flatten())
