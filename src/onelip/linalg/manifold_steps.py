"""Steps on the semi-orthogonal matrices: gradients in the tangent space, and ways back to the manifold.

Matrices are `(..., p, q)`, with orthonormal columns if p >= q and rows if not. At X the tangent space holds the D with
X^T D (of wide ones D X^T) skew; for square X it is X S, S skew.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onelip.linalg.free_parameters import matrix_exponential
from onelip.linalg.polynomials import polar_express
from onelip.linalg.stiefel import distance_to_identity, gram_of

_ORDERS = ((0.05, 2), (0.25, 3), (1.0, 4))
"""Frobenius norm below which a Taylor polynomial of that order stands for the exponential (LipNeXt's thresholds)."""

_FAR = 1.9
"""Frobenius distance from orthogonality beyond which Bjorck's step is not taken without scaling: at 2 a singular value
may be sqrt(3), and beyond that it would change its sign."""

_TYPICAL = 2.0
"""A step squares the distance and multiplies it by this at most, unless few singular values have most of it."""


def skew_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Give the Riemannian gradient of square orthogonal matrices in the coordinates S of X S.

    Args:
        x: `(batch, n, n)`, orthogonal.
        gradient: Euclidean gradient, same shape.

    Returns:
        (X^T G - G^T X) / 2, skew; in float32 at least.
    """
    half = torch.baddbmm(x.new_zeros(()), x.mT, gradient, beta=0.0, alpha=0.5)
    half = half.to(torch.promote_types(x.dtype, torch.float32))
    return half - half.mT


def tangent_projection(x: Tensor, gradient: Tensor) -> Tensor:
    """Project orthogonally onto the tangent space, in the Frobenius inner product.

    Args:
        x: `(batch, p, q)`, orthonormal columns, or rows if wide.
        gradient: Any matrix, same shape.

    Returns:
        G - X (X^T G + G^T X) / 2, of wide ones G - (X G^T + G X^T) X / 2.
    """
    tall = x.shape[-2] >= x.shape[-1]
    product = x.mT @ gradient if tall else gradient @ x.mT
    return _times(gradient, x, product + product.mT, beta=1.0)


def exponential_step(x: Tensor, skew: Tensor) -> Tensor:
    """Follow the geodesic from square orthogonal matrices: X exp(S).

    The exponential is a Taylor polynomial of order 2, 3 or 4 where the largest Frobenius norm of the S is below 0.05,
    0.25 or 1, which leaves ||Y^T Y - I|| below 2e-6, 4e-4 or 2e-2, else accurate to rounding.

    Args:
        x: `(batch, n, n)`, orthogonal.
        skew: S, same shape.

    Returns:
        The new matrices.

    Cost: one product for each order; seven and more beyond.
    Paper: Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt).
    """
    order = _order(skew)
    if order is None:
        return x @ matrix_exponential(skew)
    return _taylor(lambda term: term @ skew, x, order)


def geodesic_step(x: Tensor, tangent: Tensor) -> Tensor:
    """Follow the geodesic of the canonical metric from tall semi-orthogonal matrices: exp(W) X.

    W = U X^T - X U^T with U = (I - X X^T / 2) D is skew and W X = D. Taylor orders as in `exponential_step`, by the
    norm of W.

    Args:
        x: `(batch, p, q)`, orthonormal columns.
        tangent: D, same shape.

    Returns:
        The new matrices.

    Cost: four products `(p, q) x (q, q)` for each order; those of a `(p, p)` exponential beyond.
    Paper: Edelman, Arias and Smith 1998, section 2.4 (the geodesic).
    """
    u = tangent - 0.5 * x @ (x.mT @ tangent)
    # The norm of W is at most sqrt(2) times that of D, and no smaller.
    order = _order(tangent * 2**0.5)
    if order is None:
        half = u @ x.mT
        return matrix_exponential(half - half.mT) @ x
    return _taylor(lambda term: u @ (x.mT @ term) - x @ (u.mT @ term), x, order)


def nearer_orthogonal(x: Tensor, tolerance: float) -> tuple[Tensor, float]:
    """Bring matrices nearer to their polar factors, by one step of Bjorck's iteration or as many as needed.

    Args:
        x: `(batch, p, q)`.
        tolerance: Largest distance that should be left. What a step leaves is estimated and not measured, for all
            singular values as far from 1 as each other.

    Returns:
        The matrices, and how far the farthest had been: ||X^T X - I||_F / sqrt(q), of wide ones ||X X^T - I||_F.

    Cost: two products for a step, which squares the distance.
    """
    size, first = min(x.shape[-2:]) ** 0.5, None
    while True:
        gram = _gram(x)
        distance = float(distance_to_identity(gram).max()) / size
        first = distance if first is None else first
        if distance * size > _FAR:
            return polar_express(x).matrix, first
        x = _times(x, x, gram, beta=1.5)
        if not _TYPICAL * distance * distance > tolerance:
            return x, first


def orthogonality_defect(x: Tensor) -> float:
    """Measure how far matrices are from having orthonormal columns, or rows if wide.

    Args:
        x: `(..., m, n)`.

    Returns:
        ||X^T X - I||_F of the smaller side over the root of its size, the largest of the batch.
    """
    return float(distance_to_identity(_gram(x.detach())).max()) / min(x.shape[-2:]) ** 0.5


def _gram(x: Tensor) -> Tensor:
    # Of the smaller side.
    return gram_of(x if x.shape[-2] >= x.shape[-1] else x.mT)


def _times(start: Tensor, x: Tensor, small: Tensor, beta: float) -> Tensor:
    # beta start - X M / 2, of wide matrices beta start - M X / 2: as they lie in memory, without a turned copy.
    factors = (x, small) if x.shape[-2] >= x.shape[-1] else (small, x)
    return torch.baddbmm(start, *factors, beta=beta, alpha=-0.5)


def _order(skew: Tensor) -> int | None:
    norm = float(torch.linalg.matrix_norm(skew).max())
    return next((order for limit, order in _ORDERS if norm < limit), None)


def _taylor(apply: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Tensor:
    total = term = x
    for k in range(1, order + 1):
        term = apply(term) / k
        total = total + term
    return total
