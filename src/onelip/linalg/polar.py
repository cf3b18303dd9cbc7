"""The exact polar factor, for weights that come from outside and are projected once."""

from __future__ import annotations

import torch
from torch import Tensor


def polar_factor(w: Tensor) -> Tensor:
    """Find the nearest semi-orthogonal matrix in the Frobenius norm, U V^T of the singular value decomposition.

    Unlike the iterations of `ORTHOGONALISERS`, this also completes rank-deficient matrices, zero included. It is not
    differentiable there.

    Args:
        w: (..., m, n), real floating point.

    Returns:
        Same shape: orthonormal columns if m >= n, orthonormal rows otherwise.
    """
    u, _, vh = torch.linalg.svd(w, full_matrices=False)
    return u @ vh
