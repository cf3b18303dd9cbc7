"""Prove that stored Hermitian matrices are below a multiple of the identity. NumPy only.

The one device is a Cholesky factorisation: if it runs to completion in float64 on a Hermitian A of size n, then
A >= -c trace(A) I with c = gamma_(n+1) / (1 - gamma_(n+1)) (Rump 2006). Taken off the diagonal of s I - G beforehand,
that margin proves G <= s I. Complex arithmetic and reciprocals inside of the factorisation are covered by using
gamma_(4n+32) four times over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import gamma

Matrices = npt.NDArray[np.complex128] | npt.NDArray[np.float64]


def all_below(g: Matrices, s: float) -> bool:
    """Prove g <= s I for each of a batch of Hermitian matrices.

    Args:
        g: `(..., n, n)`.
        s: The bound.

    Returns:
        True if proved; False proves nothing.
    """
    n = g.shape[-1]
    diagonal = np.abs(np.diagonal(g, axis1=-2, axis2=-1))
    margin = 4 * gamma(4 * n + 32) * (n * abs(s) + float(diagonal.sum(-1).max()))
    a = -g
    index = np.arange(n)
    a[..., index, index] = s - margin - np.diagonal(g, axis1=-2, axis2=-1).real
    try:
        factor = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(factor).all())


def each_below(g: Matrices, s: float) -> npt.NDArray[np.bool_]:
    """Find out which of a batch of Hermitian matrices are proved to be <= s I.

    Args:
        g: `(m, n, n)`, m >= 1.
        s: The bound.

    Returns:
        `(m,)`.
    """
    proved = all_below(g, s)
    if proved or len(g) == 1:
        return np.full(len(g), proved)
    half = len(g) // 2
    return np.concatenate([each_below(g[:half], s), each_below(g[half:], s)])
