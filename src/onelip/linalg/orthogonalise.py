"""Every orthogonaliser by name. All share one signature: f(w, *, tol=None, max_steps=None) -> Orthogonalised."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from onelip.linalg.free_parameters import cayley, exponential, householder
from onelip.linalg.polynomials import bjorck, newton_schulz, polar_express
from onelip.linalg.stiefel import Orthogonalised
from onelip.linalg.triangular import cholesky, qr

__all__ = [
    "ORTHOGONALISERS",
    "Orthogonalised",
    "Orthogonaliser",
    "bjorck",
    "cayley",
    "cholesky",
    "exponential",
    "householder",
    "newton_schulz",
    "polar_express",
    "qr",
]


class Orthogonaliser(Protocol):
    """A function from matrices to semi-orthogonal matrices."""

    def __call__(self, w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
        """Orthogonalise (..., m, n) matrices.

        Args:
            w: (..., m, n), any scale, any rank.
            tol: Largest residual ||Q^T Q - I||_F, or None for the default of the dtype.
            max_steps: Largest number of steps, or None for the algorithm's own limit.

        Returns:
            The matrix, its residual, and the steps it took.
        """
        ...


ORTHOGONALISERS: dict[str, Orthogonaliser] = {
    "bjorck": bjorck,
    "newton_schulz": newton_schulz,
    "polar_express": polar_express,
    "cholesky": cholesky,
    "qr": qr,
    "cayley": cayley,
    "exponential": exponential,
    "householder": householder,
}
"""Name to function. The first five orthogonalise the input; the last three take a free parameter."""
