"""Semi-orthogonal matrices as smooth functions of a free parameter: Cayley, exponential, Householder.

These are not projections: an orthogonal input does not come back. They are computed in float64, because they square
the condition number, and without LU, which some builds of torch get wrong.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.linalg.polynomials import polish
from onelip.linalg.stiefel import Orthogonalised, Run, gram_of, identity_like, on_stiefel, peak_of

_LARGEST = 1e5
"""Frobenius norm beyond which the parameter is shrunk to it, so that the float64 factors stay accurate."""

_POLISH_STEPS = 2


def cayley(w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
    """Map a free parameter to a semi-orthogonal matrix by the Cayley transform.

    For w = [U; V] with U square, A = U - U^T + V^T V and Q = [(I - A)(I + A)^-1; -2 V (I + A)^-1]. With
    I + V^T V = L L^T and K = L^-1 (U - U^T) L^-T, which is skew, (I + A)^-1 = L^-T (I - K)(I + K^T K)^-1 L^-1: two
    Cholesky factors and no LU. Zero gives the identity. Parameters with a Frobenius norm above 1e5 are shrunk to it.

    Args:
        w: (..., m, n), the free parameter; wide ones are transposed, and so is the result.
        tol: Largest residual of the polish; None for 1e-13, the arithmetic is float64.
        max_steps: Largest number of polishing steps; None for 2.

    Returns:
        Q; `steps` counts polishing steps.

    Cost: two Cholesky factors and six triangular solves of the smaller side.
    Paper: Trockman and Kolter 2021, arXiv:2104.07167, appendix; Helfrich et al. 2018.
    """
    return on_stiefel(w, _cayley, tol=tol, max_steps=max_steps, default_steps=_POLISH_STEPS, double=True)


def exponential(w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
    """Map a free parameter to a semi-orthogonal matrix by the matrix exponential.

    Q = the first columns of exp((S - S^T) / 2), S = w padded with zero columns to a square, by scaling and squaring
    of a Taylor polynomial of degree 16. Zero gives the identity; square results are rotations (determinant 1).
    Parameters with a Frobenius norm above 1e5 are shrunk to it.

    Args:
        w: (..., m, n), the free parameter; wide ones are transposed, and so is the result.
        tol: Largest residual of the polish; None for 1e-13, the arithmetic is float64.
        max_steps: Largest number of polishing steps; None for 2.

    Returns:
        Q; `steps` counts polishing steps.

    Cost: 6 products of the larger side and one more per doubling of the norm above 1/2.
    Paper: Lezcano-Casado and Martinez-Rubio 2019, arXiv:1901.08428.
    """
    return on_stiefel(w, _exponential, tol=tol, max_steps=max_steps, default_steps=_POLISH_STEPS, double=True)


def householder(w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
    """Map a free parameter to a semi-orthogonal matrix, a product of Householder reflections.

    Q = the first n columns of H_1 ... H_n, H_i = I - 2 v_i v_i^T / |v_i|^2, v_i column i of w (H_i = I if v_i = 0).
    In compact form H_1 ... H_n = I - V T V^T for unit columns V, where T^-1 is the strict upper triangle of V^T V
    plus I / 2: one triangular solve.

    Args:
        w: (..., m, n), the free parameter; wide ones are transposed, and so is the result.
        tol: Largest residual of the polish; None for 1e-13, the arithmetic is float64.
        max_steps: Largest number of polishing steps; None for 2.

    Returns:
        Q; `steps` counts polishing steps.

    Cost: two products and one triangular solve.
    Paper: Joffrain et al. 2006 (compact form); Mhammedi et al. 2017, arXiv:1612.00188.
    """
    return on_stiefel(w, _householder, tol=tol, max_steps=max_steps, default_steps=_POLISH_STEPS, double=True)


def _cayley(x: Tensor, run: Run) -> Orthogonalised:
    x = _limited(x)
    q = x.shape[-1]
    u, v = x[:, :q], x[:, q:]
    gram = gram_of(v)
    eye = identity_like(gram)
    lower = torch.linalg.cholesky_ex(eye + gram).L
    skew = u - u.mH
    k = torch.linalg.solve_triangular(lower, skew, upper=False)
    k = torch.linalg.solve_triangular(lower.mH, k, upper=True, left=False)
    k = (k - k.mH) / 2
    factor = torch.linalg.cholesky_ex(eye + gram_of(k)).L
    # I - K commutes with (I + K^T K)^-1.
    inverse = (eye - k) @ torch.cholesky_solve(torch.linalg.solve_triangular(lower, eye, upper=False), factor)
    inverse = torch.linalg.solve_triangular(lower.mH, inverse, upper=True)
    top = 2 * inverse - eye
    return polish(torch.cat([top, -2 * v @ inverse], dim=-2), run)


def _exponential(x: Tensor, run: Run) -> Orthogonalised:
    p, q = x.shape[-2:]
    square = torch.nn.functional.pad(_limited(x), (0, p - q))
    return polish(matrix_exponential((square - square.mH) / 2, run.adaptive)[:, :, :q], run)


def matrix_exponential(a: Tensor, adaptive: bool = True) -> Tensor:
    """Exponentiate skew matrices, by scaling and squaring of a Taylor polynomial of degree 16.

    Args:
        a: `(batch, n, n)`, Frobenius norms at most 1e5 unless `adaptive`.
        adaptive: May the number of doublings depend on the numbers?

    Returns:
        exp(a), same shape.
    """
    norm = torch.linalg.matrix_norm(a.detach())
    halvings = torch.log2(norm.clamp(min=0.5)).add(1).ceil()
    doublings = int(halvings.max()) if adaptive else math.ceil(math.log2(_LARGEST)) + 1
    e = _taylor(a * (0.5**halvings)[:, None, None])
    for done in range(doublings):
        e = torch.where((done < halvings)[:, None, None], e @ e, e)
    return e


def _taylor(a: Tensor) -> Tensor:
    # Sum of a^k / k! for k <= 16, the remainder below 2e-20 for norms up to 1/2, in six products (Paterson and
    # Stockmeyer).
    eye = identity_like(a)
    powers = [eye, a, a @ a]
    powers += [powers[2] @ a, powers[2] @ powers[2]]
    result = powers[4] / math.factorial(16)
    for block in (3, 2, 1, 0):
        terms = sum(powers[k] / math.factorial(4 * block + k) for k in range(4))
        result = terms + (result if block == 3 else powers[4] @ result)
    return result


def _householder(x: Tensor, run: Run) -> Orthogonalised:
    peak = x.detach().abs().amax(-2, keepdim=True)
    zero = peak == 0
    x = x / torch.where(zero, 1.0, peak)
    length = torch.where(zero, 1.0, (x.abs() ** 2).sum(-2, keepdim=True)).sqrt()
    v = x / length
    q = x.shape[-1]
    gram = gram_of(v)
    factor = torch.triu(gram, 1) + 0.5 * identity_like(gram)
    correction = v @ torch.linalg.solve_triangular(factor, v[:, :q].mH, upper=True)
    eye = torch.eye(x.shape[-2], q, dtype=x.dtype, device=x.device)
    return polish(eye - correction, run)


def _limited(x: Tensor) -> Tensor:
    # Divide by the peak first, so that the norm does not overflow.
    peak = peak_of(x)
    norm = torch.linalg.matrix_norm(x.detach() / peak, keepdim=True)
    return x * (_LARGEST / norm / peak).clamp(max=1.0)
