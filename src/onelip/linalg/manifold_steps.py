"""Steps on the semi-orthogonal matrices: gradients in the tangent space, and ways back to the manifold.

Matrices are `(..., p, q)` with p >= q and orthonormal columns. At X the tangent space holds the D with X^T D skew; for
square X it is X S, S skew.
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

_FAR = 0.5
"""Relative distance from orthogonality beyond which Bjorck's step is not taken without scaling."""


def skew_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Give the Riemannian gradient of square orthogonal matrices in the coordinates S of X S.

    Args:
        x: `(..., n, n)`, orthogonal.
        gradient: Euclidean gradient, same shape.

    Returns:
        (X^T G - G^T X) / 2, skew.
    """
    product = x.mT @ gradient
    return (product - product.mT).mul_(0.5)


def tangent_projection(x: Tensor, gradient: Tensor) -> Tensor:
    """Project orthogonally onto the tangent space, in the Frobenius inner product.

    Args:
        x: `(batch, p, q)`, orthonormal columns.
        gradient: Any matrix, same shape.

    Returns:
        G - X (X^T G + G^T X) / 2.
    """
    product = x.mT @ gradient
    return torch.baddbmm(gradient, x, product + product.mT, alpha=-0.5)


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
        x: `(batch, p, q)`, tall or square.
        tolerance: Largest distance that may be left.

    Returns:
        The matrices, and how far the farthest had been: ||X^T X - I||_F / sqrt(q).

    Cost: two products for a step, which squares the distance.
    """
    gram, size = gram_of(x), x.shape[-1] ** 0.5
    first = distance = float(distance_to_identity(gram).max()) / size
    if distance * size > _FAR:
        return polar_express(x).matrix, first
    while True:
        x = torch.baddbmm(x, x, gram, beta=1.5, alpha=-0.5)
        distance = 0.75 * distance * distance * size
        if not distance > tolerance:
            return x, first
        gram = gram_of(x)


def orthogonality_defect(x: Tensor) -> float:
    """Measure how far matrices are from having orthonormal columns, or rows if wide.

    Args:
        x: `(..., m, n)`.

    Returns:
        ||X^T X - I||_F of the smaller side over the root of its size, the largest of the batch.
    """
    tall = x if x.shape[-2] >= x.shape[-1] else x.mT
    return float(distance_to_identity(gram_of(tall.detach())).max()) / tall.shape[-1] ** 0.5


def _order(skew: Tensor) -> int | None:
    norm = float(torch.linalg.matrix_norm(skew).max())
    return next((order for limit, order in _ORDERS if norm < limit), None)


def _taylor(apply: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Tensor:
    total = term = x
    for k in range(1, order + 1):
        term = apply(term) / k
        total = total + term
    return total
