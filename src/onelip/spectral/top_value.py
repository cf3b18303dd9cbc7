"""The norm of an affine module, measured so that it is not missed."""

from __future__ import annotations

import torch
from torch import nn

from onelip.spectral.affine_map import AffineMap
from onelip.spectral.singular_values import singular_values

DENSE_ENTRIES = 512 * 512
"""Maps with at most so many matrix entries are measured and clipped by their matrix."""

_TOL = 2e-4


def top_value(module: nn.Module, input_shape: tuple[int, ...] | None) -> float:
    """Give the largest singular value of an affine module.

    By the matrix, in the module's precision, if it is small; else by a block of singular values, each to 2e-4, for
    which one start vector that lies badly is not enough to miss the first.

    Args:
        module: Affine.
        input_shape: Shape of one input, without the batch.

    Returns:
        The value.
    """
    operator = AffineMap(module, input_shape)
    if operator.n_inputs * operator.n_outputs > DENSE_ENTRIES:
        k = min(2, operator.n_inputs, operator.n_outputs)
        return float(singular_values(operator, None, k, _TOL, max_iter=1000).values[0])
    narrow = operator.n_inputs <= operator.n_outputs
    size = operator.n_inputs if narrow else operator.n_outputs
    eye = torch.eye(size, dtype=operator.dtype, device=operator.device)
    rows = operator.apply(eye) if narrow else operator.adjoint(eye)
    return float(torch.linalg.matrix_norm(rows, 2))
