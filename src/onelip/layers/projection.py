"""What layers with orthogonal weights share: the choice of a projection and a random start."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from onelip.linalg import ORTHOGONALISERS, Orthogonaliser, unknown_name

Projection = Literal["bjorck", "cholesky", "newton-schulz", "polar-express", "qr"]
RETRACTED = 1e-5
"""Residual at which a raw weight counts as retracted: one more step, the next forward pass's, squares it."""

PROJECTIONS: tuple[str, ...] = get_args(Projection)


def projection(owner: str, name: str) -> Orthogonaliser:
    """Look up an orthogonaliser that returns an orthogonal matrix unchanged.

    Args:
        owner: Class that the user called.
        name: One of `PROJECTIONS`.

    Returns:
        The function.

    Raises:
        ValueError: If there is no such projection; the message has the nearest name.
    """
    if name not in PROJECTIONS:
        known = unknown_name("projection", str(name), PROJECTIONS)
        raise ValueError(f"orthogonaliser={name!r} in {owner} is not a projection: {known}")
    return ORTHOGONALISERS[name.replace("-", "_")]


def orthogonal_parameter(
    *shape: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> nn.Parameter:
    """Draw semi-orthogonal matrices, uniformly, from torch's generator.

    Args:
        *shape: (..., m, n).
        device: Device of the parameter.
        dtype: Its precision.

    Returns:
        The parameter, rounded from a matrix that is orthogonal in float64.
    """
    parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
    with torch.no_grad():
        parameter.copy_(random_orthogonal(parameter))
    return parameter


def random_orthogonal(like: Tensor) -> Tensor:
    """Draw semi-orthogonal matrices, uniformly, from torch's generator.

    Args:
        like: (..., m, n), for shape and device.

    Returns:
        Matrices of that shape in float64.
    """
    m, n = like.shape[-2:]
    gaussian = torch.randn_like(like, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian if m >= n else gaussian.mT)
    # Signs of the diagonal of R make the distribution uniform.
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
    return q if m >= n else q.mT
