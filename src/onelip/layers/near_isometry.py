"""Starts of convolutions with an ordinary kernel: the identity, or orthogonal at random."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import nn

from onelip.layers.conv_arguments import ConvArguments
from onelip.layers.projection import orthogonal_parameter


def near_isometry(arguments: ConvArguments, shape: tuple[int, ...], *, device: Any, dtype: Any) -> nn.Parameter:
    """Start a kernel as the identity, or as a random matrix on its middle taps, orthogonal where the shapes allow.

    The identity as published for AOL: from a random start a deep network may shrink to a constant before it learns
    anything. Kernels of one tap, as at the ends of a network, are there to mix channels, so they start at random, like
    those that stride or change the number of channels. As many taps are taken as the stride is wide, so that patches
    do not overlap.

    Args:
        arguments: Those of the layer.
        shape: Shape of the kernel.
        device: Device of the parameter.
        dtype: Its precision.

    Returns:
        The parameter; the identity, and matrices with at least as many columns as rows, have orthonormal rows.
    """
    a = arguments
    start = (min(a.kernel_size[0], a.stride[0]), min(a.kernel_size[1], a.stride[1]))
    rows = shape[0] // a.groups
    if a.in_channels == a.out_channels and a.stride == (1, 1) and a.kernel_size != (1, 1):
        matrix = torch.eye(rows, device=device, dtype=dtype).repeat(a.groups, 1)
    else:
        matrix = orthogonal_parameter(a.groups, rows, shape[1] * prod(start), device=device, dtype=dtype).detach()
    top, left = ((k - s) // 2 for k, s in zip(a.kernel_size, start, strict=True))
    raw = torch.zeros(shape, device=device, dtype=dtype)
    raw[:, :, top : top + start[0], left : left + start[1]] = matrix.reshape(*shape[:2], *start)
    return nn.Parameter(raw)


def orthogonal_kernel(groups: int, shape: tuple[int, ...], *, device: Any, dtype: Any) -> nn.Parameter:
    """Start a kernel as a random semi-orthogonal matrix (out, in k_h k_w) for each group.

    Args:
        groups: Number of groups.
        shape: Shape of the kernel.
        device: Device of the parameter.
        dtype: Its precision.

    Returns:
        The parameter.
    """
    matrices = orthogonal_parameter(groups, shape[0] // groups, prod(shape[1:]), device=device, dtype=dtype)
    return nn.Parameter(matrices.detach().reshape(shape))
