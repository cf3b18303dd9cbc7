"""Orthogonalise by triangular factors: Cholesky (CHORD) and QR."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg.polynomials import finish
from onelip.linalg.stiefel import Orthogonalised, Run, distance_to_identity, gram_of, identity_like, on_stiefel, peak_of

_RIDGE = 8.0
"""Ridge in units of eps * trace(G): above what rounding does to the smallest eigenvalue, so that Cholesky succeeds."""


def cholesky(w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
    """Orthonormalise columns (rows if wide) by Cholesky factors of the Gram matrix.

    Q = X R^-1 with R^T R = X^T X + ridge I, done twice, then polished by Bjorck steps of order 1. A singular value s
    becomes s / sqrt(s^2 + ridge) <= 1, zero stays zero. The span of the leading columns is kept, as in Gram-Schmidt;
    it is not the nearest semi-orthogonal matrix.

    Args:
        w: (..., m, n).
        tol: Largest residual; None for 1e-8 in float32, 1e-13 in float64.
        max_steps: Largest number of factorisations and polishing steps; None for 6.

    Returns:
        The semi-orthogonal matrix; `steps` counts factorisations and polishing steps.

    Cost: two products, two Cholesky factors, two triangular solves, and about two products to polish.
    Paper: Hu, Leino, Wang and Fredrikson 2024 (CHORD), arXiv:2310.02513; Yamamoto et al. 2015 (CholeskyQR2).
    """
    return on_stiefel(w, _cholesky, tol=tol, max_steps=max_steps, default_steps=6)


def qr(w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
    """Orthonormalise columns (rows if wide) by a QR factorisation whose R has a positive diagonal.

    Where R has a zero on its diagonal the sign is +1 and the column is what Householder's algorithm puts there, so
    every input, zero included, gives exactly orthonormal columns. The gradient divides by the diagonal of R, held
    away from zero.

    Args:
        w: (..., m, n).
        tol: Largest residual; None for 1e-8 in float32, 1e-13 in float64.
        max_steps: Largest number of corrections after the factorisation; None for 2.

    Returns:
        The semi-orthogonal matrix; `steps` counts the corrections.

    Cost: one QR factorisation, then a product, a Cholesky factor and a triangular solve per correction.
    """
    return on_stiefel(w, _qr, tol=tol, max_steps=max_steps, default_steps=2)


def _cholesky(x: Tensor, run: Run) -> Orthogonalised:
    x = x / peak_of(x)
    passes = min(2, run.max_steps)
    for _ in range(passes):
        x = _cholesky_pass(x, _RIDGE)
    if run.max_steps <= passes:
        residual = distance_to_identity(gram_of(x)).max()
        return Orthogonalised(x, float(residual) if run.adaptive else residual, passes)
    return finish(x, gram_of(x), run, done=passes)


def _cholesky_pass(x: Tensor, ridge: float) -> Tensor:
    gram = gram_of(x)
    trace = gram.detach().diagonal(dim1=-2, dim2=-1).real.sum(-1)[:, None, None]
    trace = torch.where(trace > 0, trace, 1.0)
    shift = ridge * torch.finfo(gram.dtype).eps * trace
    factor = torch.linalg.cholesky_ex(gram + shift * identity_like(gram)).L
    return torch.linalg.solve_triangular(factor.mH, x, upper=True, left=False)


def _qr(x: Tensor, run: Run) -> Orthogonalised:
    # QR(X) = QR(X R0^-1) for a constant triangular R0 with positive diagonal. With R0 from a factorisation of X
    # itself, X R0^-1 is orthonormal and its QR is a Cholesky factor away: gradients of all orders, well conditioned.
    x = x / peak_of(x)
    q, r = torch.linalg.qr(x.detach())
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    size = diagonal.abs()
    phase = torch.where(size > 0, diagonal / torch.where(size > 0, size, 1.0), 1.0)
    q = q * phase[:, None, :]
    r = r * phase.conj()[:, :, None]
    floor = torch.finfo(x.dtype).eps * x.shape[-1]
    r = torch.triu(r, 1) + torch.diag_embed(size.clamp(min=floor).to(r.dtype))
    y = q + torch.linalg.solve_triangular(r, x - x.detach(), upper=True, left=False)
    steps = 0
    while True:
        gram = gram_of(y)
        residual = distance_to_identity(gram).max() ** 2
        factor = torch.linalg.cholesky_ex(gram).L
        y = torch.linalg.solve_triangular(factor.mH, y, upper=True, left=False)
        steps += 1
        if steps >= run.max_steps or (run.adaptive and float(residual) <= run.tol):
            return Orthogonalised(y, float(residual) if run.adaptive else residual, steps)
