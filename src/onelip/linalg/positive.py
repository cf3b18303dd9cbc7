"""Prove upper bounds of the eigenvalues of stored Hermitian matrices in double precision, by Cholesky.

If floating-point Cholesky of a symmetric matrix A of size q runs to completion, then
A >= -gamma_(q+1) / (1 - gamma_(q+1)) trace(A) I (Demmel 1989; Rump 2006, Verification of positive definiteness), in
any order of summation. Applied to t I - G with that margin taken off the diagonal, it proves G <= t I at a cost of
q^3 / 3, and it is as tight as the estimate that t comes from. A complex product or sum errs by at most
sqrt(2) gamma_2 < 3 u (Higham 2002, 3.6), so three times as many roundings cover complex matrices. Only the lower
triangles of the inputs count.
"""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg.rounding import gamma

_CHEAP = 4e6
"""Operations (batch q^3) up to which every matrix of a batch gets an accurate estimate from eigvalsh."""

_EIGH_LIMIT = 1024
"""Largest size for eigvalsh; beyond, block power iteration is faster."""

_CANDIDATES = 4
"""How many matrices of a large batch get an accurate estimate: those of largest Frobenius norm."""

_SAMPLED = 1e-4
"""Relative slack that an estimate from these few gets."""

_ROUNDS = 16


def all_below(g: Tensor, t: float) -> Tensor:
    """Prove for each matrix of a batch that it is <= t I.

    Args:
        g: (batch, q, q), float64 or complex128 on the CPU.
        t: The bound to prove.

    Returns:
        (batch,), bool; False proves nothing.
    """
    margin = _margin(g, t)
    q, padded = g.shape[-1], _padded(g)
    if padded == q:
        a = -g
    else:
        a = torch.zeros(len(g), padded, padded, dtype=g.dtype)
        torch.neg(g, out=a[:, :q, :q])
        a[:, range(q, padded), range(q, padded)] = 1.0
    a.diagonal(dim1=-2, dim2=-1)[:, :q].add_(t - margin)
    return torch.linalg.cholesky_ex(a).info == 0


def _padded(g: Tensor) -> int:
    # MKL factorises complex matrices without blocks up to size 128, and suffers from powers of two: a few rows of the
    # identity more make it twice as fast. They do not touch the other numbers.
    q = g.shape[-1]
    if not g.is_complex():
        return q
    return 132 if 108 <= q <= 128 else q + 4 if q % 128 == 0 and q else q


def top_eigenvalue_bound(g: Tensor, at_least: float = 0.0) -> float:
    """Prove an upper bound of the largest eigenvalue over a batch of positive semi-definite matrices.

    Args:
        g: (batch, q, q), float64 or complex128 on the CPU, finite. Eigenvalues may be negative by rounding errors.
        at_least: A smaller answer is of no use, so try this one first.

    Returns:
        t >= `at_least` with g <= t I, proved for the stored numbers; about 1e-12 q^2 above the largest eigenvalue.
    """
    t = at_least
    # An estimate from a few of many matrices is worth four digits, an accurate one is only to be rounded up.
    relative = _SAMPLED if _is_sampled(g) else 1e-9
    if t == 0.0:
        t = _estimate(g) * (1 + (relative if _is_sampled(g) else 0.0))
        t += 2 * _margin(g, t)
    step = max(relative * abs(t), 2 * _margin(g, t))
    for _ in range(_ROUNDS):
        failed = ~all_below(g, t)
        if not bool(failed.any()):
            return t
        g = g[failed]
        t = max(t + step, _estimate(g) + 2 * _margin(g, t))
        step *= 8
    return max(t, _row_sum_bound(g))


def _margin(g: Tensor, t: float) -> float:
    # trace(t I - G) <= q |t| + sum |g_ii|. One gamma is Rump's; the factor 4 covers the rounding of the diagonal of
    # t I - G, of the trace, of this product, and underflow.
    trace = g.shape[-1] * abs(t) + float(g.diagonal(dim1=-2, dim2=-1).abs().sum(-1).max())
    return 4 * gamma((3 if g.is_complex() else 1) * g.shape[-1] + 4) * trace


def _is_sampled(g: Tensor) -> bool:
    batch, q = g.shape[:2]
    return batch > _CANDIDATES and batch * q**3 > _CHEAP


def _estimate(g: Tensor) -> float:
    # Not proved, and mostly a little low, which costs another Cholesky factorisation.
    if _is_sampled(g):
        g = g[torch.linalg.matrix_norm(g).topk(_CANDIDATES).indices]
    if g.shape[-1] > (_EIGH_LIMIT // 4 if g.is_complex() else _EIGH_LIMIT):
        return max(_block_power_estimate(matrix) for matrix in g)
    return float(torch.linalg.eigvalsh(g)[:, -1].max())


def _block_power_estimate(g: Tensor) -> float:
    block = torch.randn(g.shape[-1], 16, dtype=g.dtype, generator=torch.Generator().manual_seed(0))
    for _ in range(20):
        block = torch.linalg.qr(g @ block)[0]
    return float(torch.linalg.eigvalsh(block.mH @ g @ block)[-1])


def _row_sum_bound(g: Tensor) -> float:
    # Gershgorin for what no factorisation proved; the factor covers the rounding of the sums.
    lower = g.tril().abs()
    sums = lower.sum(-1) + lower.tril(-1).sum(-2)
    return float(sums.max()) * (1 + 4 * gamma(3 * g.shape[-1] + 12))
