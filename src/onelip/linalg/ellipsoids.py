"""Ellipsoids that contain all changes of a signal, carried through layers with every rounding error bounded.

An ellipsoid is given by a stored symmetric matrix C: it holds the vectors x with x x^T <= C (in the order of positive
semi-definite matrices; C^-1 is the metric of LipSDP). If the changes z of a signal lie in C, then W z lies in
W C W^T, and what a nonlinearity with slopes in [m - r, m + r] makes of them lies in
    M C M + F (I - B)^-1 F^T + H^2,  B = A C A, F = M C A, A = R H^-1,
for every positive diagonal H with B < I (M, R, H the diagonal matrices of m, r and h), since v = M z + w with
|w|_H^-1 <= |R z|_H^-1. A computed matrix is off by E with |E| <= e N entrywise for a non-negative symmetric N; then
|x^T E x| <= e sum_i x_i^2 (N p)_i / p_i for every p > 0 (Schur's test), which is added to the diagonal. All arithmetic
is float64 on the CPU on matrices whose largest diagonal entry is in [1/4, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.linalg.bound import Bound
from onelip.linalg.norms import power_of_two_scale, scaled_bound
from onelip.linalg.positive import top_eigenvalue_bound
from onelip.linalg.rounding import divide_up, gamma, sqrt_up

_SLACK = 1 + 1e-9
"""Covers the rounding of error bounds, which are sums of fewer than 10^6 non-negative products."""

_UNDERFLOW = 2.0**-600
"""Above what underflow does to a row: 2^-1074 an operation, times 2^60 operations, factors up to 2^200 behind it, and a
ratio of weights in Schur's test of at most 2^200."""

_LEAST_WEIGHT = 2.0**-180
"""Smallest weight in Schur's test."""

_RANGE = 2.0**80
"""Radii outside of 1 / this to this times the ellipsoid's size, and slopes above this, prove nothing."""

_STRICT = 1 - 2.0**-20
"""B <= this I is asked for where (I - B)^-1 is needed."""

Matvec = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """The vectors x with x x^T <= shape 4^exponent.

    Attributes:
        shape: `(n, n)` float64, symmetric, with the largest diagonal entry in [1/4, 1), or zero.
        exponent: Power of two that lengths are in units of.
    """

    shape: Tensor
    exponent: int


def linear_image(weight: Tensor, before: Ellipsoid | None) -> Ellipsoid:
    """Cover the image of an ellipsoid under a matrix.

    Args:
        weight: `(m, n)` float64, finite.
        before: The ellipsoid of n dimensions; None for the unit ball.

    Returns:
        One of m dimensions that holds `weight` x for all its x.
    """
    exponent = 0 if before is None else before.exponent
    if not bool(weight.any()):
        return Ellipsoid(torch.zeros(len(weight), len(weight), dtype=torch.float64), exponent)
    w, scale = power_of_two_scale(weight)
    return _normalised(_congruence(w, None if before is None else before.shape), exponent + scale)


def scaled_image(factors: Tensor, roundings: int, before: Ellipsoid) -> Ellipsoid:
    """Cover the image of an ellipsoid under a diagonal matrix.

    Args:
        factors: `(n,)` float64, finite.
        roundings: How often each factor was rounded: the exact one is within gamma_roundings of it.
        before: The ellipsoid.

    Returns:
        One that holds its image.
    """
    if not bool(factors.any()):
        return Ellipsoid(torch.zeros_like(before.shape), before.exponent)
    f, scale = power_of_two_scale(factors)
    c = f[:, None] * before.shape * f
    size = c.abs()
    raised = _raised(c, lambda p: size @ p, 2 * roundings + 6)
    return _normalised(raised, before.exponent + scale)


def kept_image(start: int, stop: int, before: Ellipsoid) -> Ellipsoid:
    """Restrict an ellipsoid to a range of coordinates.

    Args:
        start: First coordinate kept.
        stop: First coordinate behind the range.
        before: The ellipsoid.

    Returns:
        Its projection.
    """
    return _normalised(before.shape[start:stop, start:stop], before.exponent)


def slope_image(middle: Tensor, spread: Tensor, radii: Tensor, before: Ellipsoid) -> Ellipsoid | None:
    """Cover what a nonlinearity makes of an ellipsoid of changes.

    It turns a change z into m z + w with sum (w_k / h_k)^2 <= sum (r_k z_k / h_k)^2 over the k with r_k > 0 and
    w_k = 0 elsewhere. For an activation of single entries with slopes in [m_k - r_k, m_k + r_k] that holds for every
    h; for one that only keeps lengths within groups, if h is constant in each.

    Args:
        middle: `(n,)` m, float64.
        spread: `(n,)` r >= 0.
        radii: `(n,)` h, positive where r is.
        before: The ellipsoid of z.

    Returns:
        One that holds the changes behind the activation; None if these radii prove nothing.
    """
    if not bool(before.shape.any()):
        return before
    h = _shifted(radii, -before.exponent)
    active = torch.nonzero(spread > 0).flatten()
    slopes = torch.cat([middle.abs(), spread])
    if not bool((h[active] > 1 / _RANGE).all() and (h[active] < _RANGE).all() and (slopes < _RANGE).all()):
        return None
    ratio = _next(spread[active] / h[active])
    squares = torch.zeros_like(h)
    squares[active] = _next(h[active].square())
    # The ellipsoid of (R H^-1 z, M z).
    index = torch.cat([active, torch.arange(len(h))])
    factors = torch.cat([ratio, middle])
    joint = factors[:, None] * before.shape[index][:, index] * factors
    size = joint.abs()
    joint = _raised(joint, lambda p: size @ p, 6)
    n = len(active)
    b, f, g = joint[:n, :n], joint[n:, :n], joint[n:, n:]
    top = top_eigenvalue_bound(b[None]) if n else 0.0
    if not bool(middle.any()):
        return _normalised(torch.diag(squares), before.exponent) if top <= 1 else None
    if n:
        inverse = _inverse_above(b, top) if top <= _STRICT else None
        if inverse is None:
            return None
        g = _sum_above(g, _congruence(f, inverse), squares)
    return _normalised(g, before.exponent)


def radius_bound(ellipsoid: Ellipsoid) -> Bound:
    """Bound the length of the vectors of an ellipsoid.

    Args:
        ellipsoid: The ellipsoid.

    Returns:
        The proved bound.

    Raises:
        ValueError: If it overflows float64.
    """
    if not bool(ellipsoid.shape.any()):
        return Bound(0.0, True, "zero")
    return scaled_bound(sqrt_up(top_eigenvalue_bound(ellipsoid.shape[None])), ellipsoid.exponent, "ellipsoids")


def pair_widths(ellipsoid: Ellipsoid) -> Tensor:
    """Bound |x_i - x_j| over the vectors of an ellipsoid.

    Args:
        ellipsoid: The ellipsoid.

    Returns:
        `(n, n)`: the roots of C_ii + C_jj - 2 C_ij, rounded up; infinite where they overflow.
    """
    c = ellipsoid.shape
    d = c.diagonal()
    squares = d[:, None] + d - 2 * c
    # Three roundings of terms that are at most this large.
    squares = squares + gamma(6) * (d[:, None] + d + 2 * c.abs()) + _UNDERFLOW
    return _next(_shifted(_next(squares.clamp_min(0.0).sqrt()), ellipsoid.exponent))


def _next(x: Tensor) -> Tensor:
    return torch.nextafter(x, torch.full_like(x, math.inf))


def _shifted(x: Tensor, exponent: int) -> Tensor:
    # In two steps, because 2^exponent itself may overflow.
    half = exponent // 2
    return x * 2.0**half * 2.0 ** (exponent - half) if abs(exponent) < 2000 else x * (0.0 if exponent < 0 else math.inf)


def _normalised(c: Tensor, exponent: int) -> Ellipsoid:
    # Off the diagonal no entry is larger, up to roundings, as the matrix is positive semi-definite.
    largest = float(c.diagonal().max())
    if largest <= 0:
        return Ellipsoid(torch.zeros_like(c), exponent)
    power = math.frexp(largest)[1]
    power += power % 2
    return Ellipsoid(_shifted(c, -power), exponent + power // 2)


def _raised(c: Tensor, majorant: Matvec, roundings: int) -> Tensor:
    # Symmetric, which is one rounding, and raised by Schur's test with the roots of the diagonal as weights.
    c = (c + c.T) / 2
    weights = c.diagonal().clamp_min(0.0).sqrt().clamp_min(_LEAST_WEIGHT)
    excess = gamma(roundings) * (majorant(weights) / weights) * _SLACK + _UNDERFLOW
    c.diagonal().copy_(_next(c.diagonal() + excess))
    return c


def _congruence(w: Tensor, c: Tensor | None) -> Tensor:
    # At least W C W^T (W W^T for None). Both products have n terms, so that the errors add up to
    # gamma_2n |W| |C| |W|^T, and the mean with the transpose is one rounding more.
    size = w.abs()
    if c is None:
        product, inner = w @ w.T, None
    else:
        product, inner = w @ c @ w.T, c.abs()

    def majorant(p: Tensor) -> Tensor:
        p = size.T @ p
        return size @ (p if inner is None else inner @ p)

    return _raised(product, majorant, 2 * w.shape[1] + 4)


def _inverse_above(b: Tensor, top: float) -> Tensor | None:
    # (I - B)^-1 = Y + (I - B)^-1 (I - (I - B) Y) for every Y, and ||(I - B)^-1|| <= 1 / (1 - top).
    identity = torch.eye(len(b), dtype=b.dtype)
    factor, info = torch.linalg.cholesky_ex(identity - b)
    if int(info):
        return None
    y = torch.cholesky_inverse(factor)
    y = (y + y.T) / 2
    residual = float(torch.linalg.matrix_norm(identity - (y - b @ y)))
    sizes = [float(torch.linalg.matrix_norm(x)) for x in (identity, b, y)]
    rounding = gamma(len(b) + 4) * (sizes[0] + sizes[2] + sizes[1] * sizes[2])
    excess = divide_up((residual + rounding) * _SLACK + _UNDERFLOW, 1 - top) * _SLACK
    if not math.isfinite(excess):
        return None
    y.diagonal().copy_(_next(y.diagonal() + excess))
    return y


def _sum_above(g: Tensor, image: Tensor, squares: Tensor) -> Tensor:
    total = g + image
    total.diagonal().add_(squares)
    size = g.abs() + image.abs() + torch.diag(squares)
    return _raised(total, lambda p: size @ p, 6)
