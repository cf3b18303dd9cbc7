"""The norm of an affine module, measured so that it is not missed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.spectral.affine_map import AffineMap
from onelip.spectral.singular_values import SingularValues, singular_values

DENSE_ENTRIES = 512 * 512
"""Maps with at most so many matrix entries are measured and clipped by their matrix."""

ACCURATE = 2e-4
COARSE = 1e-3

_MOST_STEPS = 600


@dataclass(frozen=True, eq=False)
class TopValue:
    """A measured norm.

    Attributes:
        value: The largest singular value.
        right: `(j, *input_shape)`, vectors to start the next measurement from; None if the matrix told it.
    """

    value: float
    right: Tensor | None


def top_value(
    module: nn.Module, input_shape: tuple[int, ...] | None, start: Tensor | None = None, *, tol: float = ACCURATE
) -> TopValue:
    """Measure the largest singular value of an affine module.

    By the matrix, in the module's precision, if it is small; else by a block of singular values, for which one start
    vector that lies badly is not enough to miss the first.

    Args:
        module: Affine.
        input_shape: Shape of one input, without the batch.
        start: `(j, *input_shape)`, vectors of an earlier measurement of nearly the same map.
        tol: Relative error of the search.

    Returns:
        The value.
    """
    operator = AffineMap(module, input_shape)
    if operator.n_inputs * operator.n_outputs > DENSE_ENTRIES:
        found = searched_norm(operator, start, tol, max_iter=_MOST_STEPS)
        return TopValue(float(found.values[0]), found.right)
    return TopValue(float(torch.linalg.matrix_norm(_matrix(operator), 2)), None)


def _matrix(operator: AffineMap) -> Tensor:
    narrow = operator.n_inputs <= operator.n_outputs
    eye = torch.eye(operator.n_inputs if narrow else operator.n_outputs, dtype=operator.dtype, device=operator.device)
    return operator.apply(eye) if narrow else operator.adjoint(eye)


def searched_norm(operator: AffineMap, start: Tensor | None, tol: float, *, max_iter: int = 200) -> SingularValues:
    """Measure the norm of a map some of whose singular vectors may be known.

    A search that starts from exact vectors ends there, even if a larger value is elsewhere, as it is after they were
    deflated. So it starts from their sum and noise.

    Args:
        operator: The map.
        start: `(j, *input_shape)`, vectors; None to start from scratch.
        tol: Relative error.
        max_iter: Most steps.

    Returns:
        The two largest singular values with their vectors.
    """
    if start is not None:
        noise = torch.randn(operator.n_inputs, generator=torch.Generator().manual_seed(0)) / operator.n_inputs**0.5
        mixed = start.flatten(1).sum(0) / len(start) ** 0.5
        start = (mixed + noise.to(mixed)).reshape(1, *operator.input_shape)
    # The second value has to converge too, which takes a search that would end too soon further.
    k = min(2, operator.n_inputs, operator.n_outputs)
    return singular_values(operator, None, k, tol, max_iter=max_iter, start=start)
