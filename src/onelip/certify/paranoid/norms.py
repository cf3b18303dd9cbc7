"""Prove spectral norms of matrices of balls.

Float64 eigenvectors only look for the proof: with R = D^(-1/2) V^T from a computed A = V D V^T, the matrix R A R^T is
formed in balls, and if all row sums of |R A R^T - I| are below 1, it is positive definite, and so is A, whatever R is.
Nothing rests on the eigenvectors, nor on the order or the rounding of any sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

from onelip.certify.paranoid.balls import ZERO, Balls, absolute, largest, matrix, root, total

SLACK = (0.0, 1e-13, 1e-11, 1e-9, 1e-7)
"""Relative excesses over an estimate that are tried where no claim is to be proved."""

LARGEST = 1024
"""Size of the smaller side from which a matrix is taken to be too large."""


def positive_definite(a: Any) -> bool:
    """Prove that a symmetric matrix is positive definite.

    Args:
        a: An `arb_mat`, symmetric.

    Returns:
        True if proved; False proves nothing.
    """
    n = a.nrows()
    entries = [float(entry.mid()) for entry in a.entries()]
    middle = np.array(entries, dtype=np.float64).reshape(n, n)
    if not np.isfinite(middle).all():
        return False
    try:
        values, vectors = np.linalg.eigh(middle)
    except np.linalg.LinAlgError:
        return False
    if not float(values.min()) > 0:
        return False
    guess = vectors.T / np.sqrt(values)[:, None]
    if not np.isfinite(guess).all():
        return False
    r = arb_mat(n, n, guess.ravel().tolist())
    return all(_row_sum(row, i) < 1 for i, row in enumerate((r * a * r.transpose()).tolist()))


def _row_sum(row: list[Any], diagonal: int) -> Any:
    row[diagonal] = row[diagonal] - 1
    return sum(map(abs, row), ZERO)


def norm_at_most(w: Balls, bound: Any) -> bool:
    """Prove ||W|| <= bound.

    Args:
        w: `(m, n)`, neither of them zero.
        bound: A ball, finite and positive.

    Returns:
        True if proved; False proves nothing.
    """
    thin = w if w.shape[0] >= w.shape[1] else w.T
    gram = matrix(thin.T) * matrix(thin)
    # Divided by the square of the bound, so that the search can neither under- nor overflow.
    return positive_definite(arb_mat(thin.shape[1], thin.shape[1], 1) - gram * (1 / (bound * bound)))


def cheap_norm(w: Balls) -> Any:
    """Bound a spectral norm by the lesser of the Frobenius norm and the root of the row and column sums.

    Args:
        w: `(m, n)`.

    Returns:
        A ball whose upper end is a bound.
    """
    size = absolute(w)
    rows, columns = largest(size.sum(1)), largest(size.sum(0))
    return root(total(w * w).min(rows * columns))


def matrix_norm(w: Balls, claims: tuple[Any, ...] = ()) -> Any:
    """Bound a spectral norm.

    Args:
        w: `(m, n)`, not empty.
        claims: Balls to try to prove, in this order; nothing for as little as possible.

    Returns:
        A ball whose upper end is a bound: at most one of the claims if it could be proved.
    """
    cheap = cheap_norm(w)
    if any(cheap <= claim for claim in claims) or min(w.shape) > LARGEST:
        return cheap
    for claim in claims or _guesses(w):
        if claim.is_finite() and claim > 0 and norm_at_most(w, claim):
            return claim
    return cheap


def _guesses(w: Balls) -> Iterator[Any]:
    middle: npt.NDArray[np.float64] = np.array([float(v.mid()) for v in w.flat]).reshape(w.shape)
    if not np.isfinite(middle).all():
        return
    estimate = float(np.linalg.norm(middle, 2))
    for slack in SLACK:
        yield arb(estimate * (1 + slack))
