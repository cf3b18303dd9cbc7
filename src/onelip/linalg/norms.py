"""Proved upper bounds of the spectral norm of stored matrices.

All arithmetic is float64 on the CPU, where every product of n terms obeys |fl(A B) - A B| <= gamma_n |A| |B|
entrywise, in any order of summation, fused or not (Higham 2002, 3.5). Matrices are scaled by a power of two first, so
that the largest entry is in [1/2, 1): overflow cannot happen, and underflow perturbs by less than 2^-1000, which one
term more than needed in every gamma covers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.linalg.bound import Bound
from onelip.linalg.gram import gram
from onelip.linalg.positive import top_eigenvalue_bound
from onelip.linalg.rounding import UNIT_ROUNDOFF, add_up, divide_up, gamma, multiply_up, sqrt_up, up

_CLOSE = 2e-8
"""Relative gap between a proof of sigma^2 and a lower bound of it below which no other proof is tried."""

_CHUNK = 2**22
"""Entries of Gram matrices held at once."""


def matrix_norm_bound(w: Tensor) -> Bound:
    """Prove an upper bound of the spectral norm of a matrix, or of the largest of a batch.

    The least of these proofs, the last only where the others leave a gap. With G = fl(W^T W) on the smaller side q and
    p the larger, ||W^T W - G|| <= gamma_p || |W|^T |W| || <= gamma_p ||W||_F^2 =: e:
      row-column sums   ||W||^2 <= ||W||_1 ||W||_inf;
      Frobenius         ||W|| <= ||W||_F;
      residual          ||W||^2 <= c + ||G - c I||_F + e, with c the mean of the diagonal (for near isometries);
      Cholesky          ||W||^2 <= t + e if Cholesky of t I - G succeeds by a margin, t just above an estimate.

    Args:
        w: (..., m, n), real floating point. Half and single precision are converted exactly.

    Returns:
        The proved bound, within 1e-8 of the norm; 0 for a zero or empty matrix.

    Raises:
        ValueError: If `w` is not a real floating-point matrix, has a non-finite entry, or its norm overflows float64.

    Cost: one product and one or two factorisations of the smaller side.
    """
    x = finite_double(w, "w")
    if w.ndim < 2:
        raise ValueError(f"w of shape {tuple(w.shape)} is not a matrix; give (..., m, n)")
    if not bool(x.any()):
        return Bound(0.0, True, "zero")
    x, exponent = power_of_two_scale(x)
    x = x.reshape(-1, *x.shape[-2:])
    x = x if x.shape[1] >= x.shape[2] else x.mT
    size = max(1, _CHUNK // x.shape[2] ** 2)
    value, method = max(_batch_bound(part) for part in x.split(size))
    return scaled_bound(value, exponent, method)


def finite_double(x: Tensor, name: str) -> Tensor:
    """Convert a real floating-point tensor exactly to float64 on the CPU.

    Args:
        x: Any real floating-point tensor.
        name: What to call it in errors.

    Returns:
        The same numbers, detached.

    Raises:
        ValueError: If `x` is not real floating point or has a NaN or infinite entry.
    """
    if not x.is_floating_point():
        raise ValueError(f"{name} of {x.dtype} has no proved norm; it must be real floating point")
    x = x.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"{name} of shape {tuple(x.shape)} has a NaN or infinite entry, so no norm can be proved")
    return x


def power_of_two_scale(x: Tensor) -> tuple[Tensor, int]:
    """Scale a float64 tensor exactly so that its largest entry is in [1/2, 1).

    Args:
        x: Finite float64 tensor, not all zero.

    Returns:
        y and e with x = y 2^e, but for underflow of entries 2^1000 below the largest.
    """
    exponent = math.frexp(float(x.abs().max()))[1]
    # In two steps, because 2^-exponent itself may overflow.
    half = -exponent // 2
    return x * 2.0**half * 2.0 ** (-exponent - half), exponent


def scaled_bound(value: float, exponent: int, method: str) -> Bound:
    """Undo `power_of_two_scale` on a proved constant.

    Args:
        value: Proved constant of the scaled tensor.
        exponent: What `power_of_two_scale` returned.
        method: How it was proved.

    Returns:
        The proved bound of value 2^exponent, rounded up.

    Raises:
        ValueError: If it overflows float64.
    """
    try:
        return Bound(up(math.ldexp(value, exponent)), True, method)
    except OverflowError:
        raise ValueError(f"norm {value} * 2**{exponent} is beyond the largest float64; scale the weight") from None


def sum_up(values: Tensor, terms: int) -> Tensor:
    """Turn float64 sums of non-negative terms into upper bounds of the exact sums.

    Args:
        values: Computed sums of products or of numbers, any order of summation.
        terms: Roundings per sum.

    Returns:
        values / (1 - gamma_terms) rounded up, plus 2^-1000 for underflow.
    """
    factor = divide_up(1.0, 1.0 - gamma(terms + 2))
    return values * factor * (1 + 4 * UNIT_ROUNDOFF) + 2.0**-1000


def frobenius_squared_up(x: Tensor) -> Tensor:
    """Return upper bounds of ||x||_F^2.

    Args:
        x: (..., m, n), float64, entries at most 1 in size.

    Returns:
        (...).
    """
    return sum_up(x.square().sum((-2, -1)), x.shape[-2] * x.shape[-1] + 1)


def spectral_norms_up(x: Tensor, squarings: int = 2) -> Tensor:
    """Return upper bounds of the spectral norms of a batch of matrices, by Gram iteration.

    ||G_k||^2 = ||G_k^T G_k|| <= s_k ||G_(k+1)|| + gamma_n ||G_k||_F^2 with G_(k+1) = fl(G_k^T G_k) / s_k, the error
    carried back through the roots; the last norm is Frobenius', so the excess is at most a factor q^(1 / 2^(k + 1)).

    Args:
        x: (..., m, n), float64, entries at most 1 in size.
        squarings: Number of Gram products k.

    Returns:
        (...).

    Paper: Delattre et al. 2023, arXiv:2305.16173.
    """
    norm = frobenius_squared_up(x).sqrt()
    if squarings == 0:
        return norm
    # Exactly a power of two, so that the scaling is exact.
    scale = norm / torch.frexp(norm).mantissa
    y = x / scale[..., None, None]
    error = gamma(x.shape[-2] + 2) * frobenius_squared_up(y)
    squared = (spectral_norms_up(gram(y), squarings - 1) + error) * (1 + 8 * UNIT_ROUNDOFF)
    return squared.sqrt() * scale * (1 + 8 * UNIT_ROUNDOFF)


def _batch_bound(x: Tensor) -> tuple[float, str]:
    p, q = x.shape[1:]
    size = x.abs()
    frobenius = frobenius_squared_up(x)
    # The square of sqrt(columns rows), one more rounding for the product.
    sums = sum_up(size.sum(1).amax(-1) * size.sum(2).amax(-1), p + q + 1)
    cheap = torch.minimum(frobenius, sums)
    method = "Frobenius" if bool((frobenius <= sums).all()) else "row-column sums"
    if q == 1:
        return sqrt_up(float(cheap.max())), method
    g = gram(x)
    # One term more than needed, to cover underflow.
    error = multiply_up(gamma(p + 1), float(frobenius.max()))
    center = g.diagonal(dim1=-2, dim2=-1).mean(-1)
    residual = g - torch.diag_embed(center[:, None].expand(-1, q))
    # Four units cover the rounding of the differences on the diagonal and of the last sum.
    spread = (frobenius_squared_up(residual).sqrt() + center) * (1 + 8 * UNIT_ROUNDOFF)
    proofs = [(float(cheap.max()), method), (add_up(float(spread.max()), error), "residual")]
    if min(proofs)[0] > float(center.max()) * (1 + _CLOSE):
        proofs.append((add_up(top_eigenvalue_bound(g), error), "Cholesky"))
    value, method = min(proofs)
    return sqrt_up(value), method
