"""Computed values with a proved bound of their rounding error."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from onelip.certify.records import Node
from onelip.linalg import gamma

SLACK = 1 + 1e-9
"""Covers the rounding of error bounds, which are sums and products of a few hundred positive numbers."""

TINY = 2.0**-500
"""Added to each error bound for underflow, which perturbs an entry by at most 2^-1074 (2^-537 under a root)."""

Values = tuple[Tensor, Tensor]
"""The computed values `(N, ...)` and the bound `(N,)` of their error."""

Rule = Callable[[Node, list[Tensor]], Values]
"""From a node and its computed inputs to its computed output and the rounding error made in it."""


def sample_norms(x: Tensor) -> Tensor:
    """Take the l2 norm of each sample, rounded outward.

    Args:
        x: `(N, ...)` float64.

    Returns:
        `(N,)`.
    """
    return torch.linalg.vector_norm(x.flatten(1), dim=1) * SLACK


def absolute_norm(weight: Tensor) -> float:
    """Bound the norm of the map whose weights are the sizes of the given ones.

    Args:
        weight: `(out, in)` or `(out, in/groups, ...)`, float64, or transposed.

    Returns:
        The root of the largest row sum times the largest column sum, rounded up.
    """
    # The entries of |W| outside of its two leading axes are taps, each of which meets a pixel at most once.
    size = weight.abs().flatten(2) if weight.dim() > 2 else weight.abs()[..., None]
    rows, columns = size.sum((1, 2)).max(), size.sum((0, 2)).max()
    return math.sqrt(float(rows) * float(columns)) * SLACK


def exact(values: Tensor) -> Values:
    """Say that values were copied, not computed.

    Args:
        values: `(N, ...)`.

    Returns:
        They, with no error.
    """
    return values, values.new_zeros(len(values))


def rounded(values: Tensor, roundings: int) -> Values:
    """Say that each entry was rounded a few times.

    Args:
        values: `(N, ...)`.
        roundings: How often.

    Returns:
        They, with their error.
    """
    # Every entry is off by at most gamma of itself.
    return values, sample_norms(values) * gamma(roundings + 1)


def stored(node: Node, role: str, like: Tensor) -> Tensor:
    """Get a node's stored numbers, to compute with.

    Args:
        node: The node.
        role: Their name.
        like: A tensor on the device wanted.

    Returns:
        They in float64.
    """
    return node.tensors[role].to(like.device, torch.float64)
