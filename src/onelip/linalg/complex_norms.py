"""Proved upper bounds of the spectral norm of stored complex matrices, in real arithmetic.

With W = A + i B, W^H W = R + i J for R = A^T A + B^T B = [A; B]^T [A; B], which is symmetric, and J = P - P^T for
P = A^T B: three real products instead of the four of a complex one, and R by halves. A sum of n products is off by at
most gamma_n times the sum of their sizes, so the computed R + i J is off by a matrix of norm at most
gamma_(2 m + 1) || |[A; B]|^T |[A; B]| + |A|^T |B| + |B|^T |A| ||_F <= 2 gamma_(2 m + 1) ||W||_F^2.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from onelip.linalg.bound import Bound
from onelip.linalg.gram import adjoint_product, gram
from onelip.linalg.norms import power_of_two_scale, scaled_bound, sum_up
from onelip.linalg.positive import top_eigenvalue_bound
from onelip.linalg.rounding import UNIT_ROUNDOFF, add_up, gamma, multiply_up, sqrt_up
from onelip.linalg.threads import one_thread

_CLOSE = 1e-6
"""Relative gap between a proof of sigma^2 and a lower bound of it below which no costly proof is tried."""

_CLOSER = 2e-8
"""The same for cheap ones."""

_CHEAP = 1e10
"""Operations (batch q^3) of a cheap proof."""

_AT_ONCE = 4
"""Matrices that are factorised together."""

_CHUNK = 2**20
"""Entries of Gram matrices held at once."""


def complex_norm_bound(w: Tensor) -> Bound:
    """Prove an upper bound of the spectral norm of a complex matrix, or of the largest of a batch.

    The least of these proofs, each tried only where those before leave a gap. With q the smaller side, p the larger,
    G = fl(W^H W) and e its error:
      Frobenius         ||W|| <= ||W||_F;
      residual          ||W||^2 <= c + ||G - c I||_F + e, with c the mean of the diagonal (for near isometries);
      squared residual  the same with ||E||^2 = ||E^H E|| <= ||fl(E^H E)||_F + its error, for E = G - c I;
      Cholesky          ||W||^2 <= t + e if Cholesky of t I - G succeeds by a margin.

    Args:
        w: (..., m, n), complex64 or complex128.

    Returns:
        The proved bound, within 5e-7 of the norm; 0 for a zero or empty matrix.

    Raises:
        ValueError: If `w` is not a complex matrix, has a non-finite entry, or its norm overflows float64.

    Cost: 6 p q^2 to 8 p q^2 operations a matrix for near isometries.
    """
    if not w.is_complex() or w.ndim < 2:
        raise ValueError(f"w of shape {tuple(w.shape)} and {w.dtype} is not a complex matrix; give (..., m, n)")
    pairs = torch.view_as_real(w.detach().resolve_conj()).cpu()
    peak = pairs.abs().amax() if pairs.numel() else pairs.new_zeros(())
    if not bool(torch.isfinite(peak)):
        raise ValueError(f"w of shape {tuple(w.shape)} has a NaN or infinite entry, so no norm can be proved")
    if float(peak) == 0.0:
        return Bound(0.0, True, "zero")
    pairs = pairs.reshape(-1, *pairs.shape[-3:])
    # The power of two by which the largest entry is scaled; exact for all others.
    _, exponent = power_of_two_scale(peak.double()[None])
    close = _CLOSER if len(pairs) * min(w.shape[-2:]) ** 3 <= _CHEAP else _CLOSE
    value, method = 0.0, "Frobenius"
    # NumPy multiplies, in threads of its own.
    with one_thread():
        for stacked in _parts(pairs, exponent):
            found, how = _batch_bound(stacked, value, close)
            value, method = max((value, method), (found, how))
    return scaled_bound(sqrt_up(value), exponent, method)


def _parts(pairs: Tensor, exponent: int) -> Iterator[Tensor]:
    # (batch, 2 p, q) with p >= q: [A; B], or that of the conjugate transpose. No other copy of all matrices is made.
    _, rows, columns, _ = pairs.shape
    half = -exponent // 2
    for part in pairs.split(max(1, _CHUNK // min(rows, columns) ** 2)):
        real, imaginary = part.double().unbind(-1)
        if rows < columns:
            real, imaginary = real.mT, -imaginary.mT
        yield torch.cat([real, imaginary], 1) * 2.0**half * 2.0 ** (-exponent - half)


def _size_sq(x: Tensor) -> Tensor:
    # Upper bounds of ||x||_F^2 by a norm, which passes over the numbers once: three roundings more for root and square.
    return sum_up(torch.linalg.vector_norm(x.flatten(1), dim=1).square(), x[0].numel() + 4)


def _hermitian_gram(stacked: Tensor, size_sq: float) -> tuple[Tensor, Tensor, float]:
    # R, J and a bound of the error of R + i J, from one of the largest ||W||_F^2.
    p = stacked.shape[1] // 2
    product = adjoint_product(stacked[:, :p], stacked[:, p:])
    # One term more than needed, to cover underflow.
    return gram(stacked), product - product.mT, multiply_up(2 * gamma(2 * p + 2), size_sq)


def _batch_bound(stacked: Tensor, at_least: float, close: float) -> tuple[float, str]:
    size_sq = float(_size_sq(stacked).max())
    real, imaginary, error = _hermitian_gram(stacked, size_sq)
    diagonal = real.diagonal(dim1=-2, dim2=-1).clone()
    center = diagonal.mean(-1)
    lower = float(center.max())
    # The diagonal of R - c I, in place; R itself comes back where it is needed.
    real.diagonal(dim1=-2, dim2=-1).sub_(center[:, None])
    # Two units for the sum of both parts and its root.
    spread = (_size_sq(real) + _size_sq(imaginary)).sqrt() * (1 + 2 * UNIT_ROUNDOFF)
    proofs = [
        (size_sq, "Frobenius"),
        (_about(center, spread, error), "residual"),
    ]
    if min(proofs)[0] <= max(at_least, lower * (1 + close)):
        return min(proofs)
    if min(proofs)[0] <= lower * 1.01:
        proofs.append((_about(center, _norms(torch.cat([real, imaginary], 1), spread), error), "squared residual"))
    if min(proofs)[0] > lower * (1 + _CLOSE):
        top = max(0.0, at_least - error)
        real.diagonal(dim1=-2, dim2=-1).copy_(diagonal)
        # A few at a time, each of which then gets an accurate estimate, if it needs one.
        for part in torch.complex(real, imaginary).split(_AT_ONCE):
            top = top_eigenvalue_bound(part, top)
        proofs.append((add_up(top, error), "Cholesky"))
    return min(proofs)


def _about(center: Tensor, spread: Tensor, error: float) -> float:
    # Eight units cover the rounding of the differences on the diagonal, of a root and of the sum.
    return add_up(float(((spread + center) * (1 + 16 * UNIT_ROUNDOFF)).max()), error)


def _norms(off: Tensor, spread: Tensor) -> Tensor:
    # Of E = off by one more Gram product, on matrices scaled by powers of two to Frobenius norm 1 at most.
    scale = (spread / torch.frexp(spread).mantissa).clamp_min(2.0**-500)
    scaled = off / scale[:, None, None]
    real, imaginary, error = _hermitian_gram(scaled, float(_size_sq(scaled).max()))
    squared = (_size_sq(real) + _size_sq(imaginary)).sqrt() * (1 + 2 * UNIT_ROUNDOFF)
    return ((squared + error) * (1 + 8 * UNIT_ROUNDOFF)).sqrt() * scale * (1 + 8 * UNIT_ROUNDOFF)
