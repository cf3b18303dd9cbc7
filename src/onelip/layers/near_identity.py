"""Weights near the identity: I + depth^-1/2 diag(gamma) W, from which deep networks start."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def identity_kernel(like: Tensor, groups: int = 1) -> Tensor:
    """Make the kernel of the identity, on the middle tap, or the left and upper of the middle ones.

    Args:
        like: (rows, columns, ...) with the taps of a kernel, or none, behind the channels; rows = groups times those of
            a group. For shape, precision and device.
        groups: Number of groups.

    Returns:
        Kernel of the same shape: the first rows (or columns) of the identity where a group is not square.
    """
    rows, columns, *taps = like.shape
    eye = torch.eye(rows // groups, columns, dtype=like.dtype, device=like.device).repeat(groups, 1)
    pads = [pad for k in reversed(taps) for pad in ((k - 1) // 2, k - 1 - (k - 1) // 2)]
    return nn.functional.pad(eye[(..., *[None] * len(taps))], pads)


def near_identity(weight: Tensor, gamma: Tensor, *, depth: int, groups: int = 1) -> Tensor:
    """Build I + depth^-1/2 diag(gamma) W.

    Args:
        weight: W, (rows, columns, ...) as for `identity_kernel`.
        gamma: (rows,).
        depth: Number of such layers in the network.
        groups: Number of groups.

    Returns:
        Kernel or matrix of the shape of W.

    Paper: Hu, Zou, Wang, Leino and Fredrikson 2023, arXiv:2301.12549.
    """
    return identity_kernel(weight, groups) + weight * gamma[(..., *[None] * (weight.dim() - 1))] / depth**0.5


def near_identity_inverse(weight: Tensor, depth: int, groups: int = 1) -> tuple[Tensor, Tensor]:
    """Find the W that gives a weight with gamma = 1.

    Args:
        weight: (rows, columns, ...) as for `identity_kernel`.
        depth: Number of such layers in the network.
        groups: Number of groups.

    Returns:
        W of the same shape, and gamma (rows,).
    """
    gamma = torch.ones(len(weight), dtype=weight.dtype, device=weight.device)
    return (weight - identity_kernel(weight, groups)) * depth**0.5, gamma


def near_identity_parameters(
    *shape: int, fan: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> tuple[nn.Parameter, nn.Parameter]:
    """Draw W as published, normal of deviation 1 / fan, and gamma = 1.

    Args:
        *shape: Of W.
        fan: Channels times taps.
        device: Device of the parameters.
        dtype: Their precision.

    Returns:
        W and gamma.
    """
    weight = torch.randn(shape, device=device, dtype=dtype) / fan
    return nn.Parameter(weight), nn.Parameter(torch.ones(shape[0], device=device, dtype=dtype))
