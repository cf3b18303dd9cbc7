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


def patch_parameter(
    shape: tuple[int, ...],
    stride: tuple[int, int],
    groups: int,
    *,
    identity: bool,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Parameter:
    """Start a kernel that is zero but for its middle, as large as the stride, where it is a semi-orthogonal matrix.

    Where patches do not overlap, so if the kernel is not smaller than the stride, such a convolution is orthogonal.

    Args:
        shape: (out, in/groups, kh, kw) of a convolution, (in, out/groups, kh, kw) of a transposed one.
        stride: (s_h, s_w).
        groups: Number of groups.
        identity: Let the matrix be the identity, for kernels of as many inputs as outputs without a stride.
        device: Device of the parameter.
        dtype: Its precision.

    Returns:
        The parameter; drawn from torch's generator unless it is the identity.
    """
    start = (min(shape[2], stride[0]), min(shape[3], stride[1]))
    rows = shape[0] // groups
    if identity:
        matrix = torch.eye(rows, device=device, dtype=dtype).repeat(groups, 1)
    else:
        columns = shape[1] * start[0] * start[1]
        matrix = orthogonal_parameter(groups, rows, columns, device=device, dtype=dtype).detach()
    top, left = ((k - s) // 2 for k, s in zip(shape[2:], start, strict=True))
    raw = torch.zeros(shape, device=device, dtype=dtype)
    raw[:, :, top : top + start[0], left : left + start[1]] = matrix.reshape(*shape[:2], *start)
    return nn.Parameter(raw)


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
