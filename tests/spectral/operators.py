"""The matrix of an operator by the identity, and what a block of singular triplets must satisfy, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.spectral import AffineMap, SingularValues, singular_values


def dense(operator: AffineMap) -> Tensor:
    """`(n_outputs, n_inputs)`, by one evaluation of the identity without our adjoint."""
    return operator.apply(torch.eye(operator.n_inputs, dtype=operator.dtype)).mT.double()


def check(operator: AffineMap, k: int, matrix: Tensor, **options: object) -> SingularValues:
    """Values to 1e-3, vectors orthonormal, A v = sigma u, residuals as stated."""
    found = singular_values(operator, k=k, **options)
    true = torch.linalg.svdvals(matrix)[:k]
    rounding = 1e3 * torch.finfo(operator.dtype).eps
    scale = float(true[0])
    left, right = found.left.flatten(1).double(), found.right.flatten(1).double()
    eye = torch.eye(k, dtype=torch.float64)
    assert found.converged
    assert ((found.values - true).abs() <= 1e-3 * true + rounding * scale).all(), (found.values, true)
    # From below.
    assert (found.values <= true + rounding * scale).all(), (found.values, true)
    assert (left @ left.mT - eye).abs().max() < rounding
    assert (right @ right.mT - eye).abs().max() < rounding
    assert (right @ matrix.mT - found.values[:, None] * left).abs().max() <= rounding * scale
    residuals = (left @ matrix - found.values[:, None] * right).norm(dim=1)
    assert ((residuals - found.residuals).abs() <= rounding * scale).all()
    return found
