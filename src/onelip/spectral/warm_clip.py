"""Clipping of a map whose largest singular vectors are nearly known, as they are during training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from onelip.layers.plain import evaluating
from onelip.linalg.precision import full_precision
from onelip.spectral.affine_map import AffineMap
from onelip.spectral.singular_values import SingularValues, singular_values
from onelip.spectral.top_value import searched_norm
from onelip.spectral.weighted_map import WeightedMap

_SWEEP = 3
"""Applications of the map and its adjoint to the block before each move of the weights."""

_MOVES = 3
"""Most moves of the weights for one set of vectors."""

_ALWAYS = 1e-6
"""A tolerance that lets no sweep end early: vectors at hand are often exact, and what is above is elsewhere."""

_MOST_ROUNDS = 40

_VERIFIED = 0.1
"""Share of the tolerance to which the final norm is measured."""


@dataclass(frozen=True, eq=False)
class WarmClipped:
    """What a clipping that started from earlier vectors did.

    Attributes:
        right: `(k, *input_shape)`, right singular vectors to start from the next time.
        before: The norm as first measured, from below.
        after: The norm as measured at the end.
        n_rounds: How often the weights were moved; 0 if they are as they were.
    """

    right: Tensor
    before: float
    after: float
    n_rounds: int


def warm_clip_(
    module: nn.Module,
    input_shape: tuple[int, ...],
    max_norm: float,
    start: Tensor | None = None,
    *,
    rank: int = 4,
    tol: float = 1e-2,
) -> WarmClipped:
    """Move the weights of an affine module until its norm is measured to be at most max_norm (1 + tol).

    The triplets (u_i, s_i, v_i) with s_i > max_norm among the `rank` largest are deflated together: with C = U^T A(w) V
    and F what exceeds max_norm in C, w moves along -g, g = d<F, C>/dw, by |F|^2 / |g|^2, which removes F to first order
    by the shortest move in its direction. A few steps from the vectors at hand find the next ones, until none exceeds
    it; then the norm is measured to a tenth of the tolerance. What exceeds it after many rounds is scaled away.

    Args:
        module: Affine in its input. In place, its weights change and nothing else; a module below stays bit for bit.
        input_shape: Shape of one input, without the batch.
        max_norm: Positive.
        start: `(j, *input_shape)`, right vectors of an earlier call; None to search from scratch.
        rank: How many singular values are followed.
        tol: Relative excess that is let be.

    Returns:
        The norms before and after, and the vectors.

    Paper:
        Boroojeny, Telgarsky and Sundaram 2024, arXiv:2402.16017, section 4, with a block of vectors and exact steps.
    """
    before = math.nan
    for n_rounds in range(_MOST_ROUNDS):
        found, start = _search(module, input_shape, max_norm * (1 + tol), start, rank, tol)
        before = float(found.values[0]) if n_rounds == 0 else before
        if found.values[0] <= max_norm * (1 + tol):
            return WarmClipped(start, before, float(found.values[0]), n_rounds)
        _deflate_(module, input_shape, found, max_norm)
    norm = float(searched_norm(AffineMap(module, input_shape), start, _VERIFIED * tol).values[0])
    weights = WeightedMap(module, input_shape)
    weights.write_(weights.start * min(1.0, max_norm / norm))
    return WarmClipped(cast(Tensor, start), before, min(norm, max_norm), _MOST_ROUNDS)


def _search(
    module: nn.Module, input_shape: tuple[int, ...], limit: float, start: Tensor | None, rank: int, tol: float
) -> tuple[SingularValues, Tensor]:
    # Find values above the limit in a few steps, or else measure the norm; and vectors for the next search.
    operator = AffineMap(module, input_shape)
    k = min(rank, operator.n_inputs, operator.n_outputs)
    found = singular_values(operator, None, k, _ALWAYS, max_iter=_SWEEP, start=start)
    if found.values[0] > limit:
        return found, found.right
    top = searched_norm(operator, found.right, _VERIFIED * tol)
    # In front, so that they are among those that the next search starts from.
    return top, torch.cat([top.right, found.right])[:k]


def _deflate_(module: nn.Module, input_shape: tuple[int, ...], found: SingularValues, max_norm: float) -> None:
    above = found.values > max_norm
    left, right = found.left.flatten(1)[above], found.right.flatten(1)[above]
    with evaluating(module), torch.inference_mode(False), full_precision():
        weights = WeightedMap(module, input_shape)
        w = weights.start
        for _ in range(_MOVES):
            w = w.detach().requires_grad_()
            with torch.enable_grad():
                images = weights.apply(w, right)
            p, s, qh = torch.linalg.svd((left @ images.detach().mT).double().cpu())
            excess = (s - max_norm).clamp(min=0.0)
            if not excess.any():
                break
            cotangent = ((p * excess) @ qh).to(left).mT @ left
            (g,) = torch.autograd.grad(images, w, cotangent)
            w = w - g * float(excess.square().sum() / g.double().square().sum())
        weights.write_(w.detach())
