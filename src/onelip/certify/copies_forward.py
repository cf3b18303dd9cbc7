"""Copies and sums of entries of each sample, in float64 with error bounds."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.certify.records import Node
from onelip.certify.values import Rule, Values, exact, sample_norms, stored
from onelip.linalg import gamma, sqrt_up


def _filled(picked: Tensor, missing: Tensor, node: Node) -> Tensor:
    return torch.where(missing, picked.new_tensor(node.attributes["fill"]), picked)


def gather(node: Node, inputs: list[Tensor]) -> Values:
    """Copy along axes, one by one.

    Args:
        node: Has `axes`; `indices`, for each axis the place that each place of the output copies, or -1 for the
            constant `fill`.
        inputs: One `(N, ...)`.

    Returns:
        `(N, ...)`.
    """
    y = inputs[0]
    for axis, line in zip(node.attributes["axes"], node.attributes["indices"], strict=True):
        index = torch.tensor(line, device=y.device)
        shape = [-1 if k == axis + 1 else 1 for k in range(y.dim())]
        y = _filled(y.index_select(axis + 1, index.clamp(min=0)), (index < 0).reshape(shape), node)
    return exact(y)


def take(node: Node, inputs: list[Tensor]) -> Values:
    """Copy entries, counted in order.

    Args:
        node: Has `shape` of a sample of the output; the tensor `index` of the entry that each of its entries copies,
            or -1 for the constant `fill`.
        inputs: One `(N, ...)`.

    Returns:
        `(N, *shape)`.
    """
    x, index = inputs[0], stored(node, "index", inputs[0]).long()
    y = _filled(x.flatten(1).index_select(1, index.clamp(min=0)), index < 0, node)
    return exact(y.reshape(len(x), *node.attributes["shape"]))


def put(node: Node, inputs: list[Tensor]) -> Values:
    """Add entries to entries of the output: the adjoint of `take`.

    Args:
        node: Has `shape` of a sample of the output; the tensor `index` of the entry that each entry of the input is
            added to, or -1 for none.
        inputs: One `(N, ...)`.

    Returns:
        `(N, *shape)`.
    """
    x, index = inputs[0], stored(node, "index", inputs[0]).long()
    shape = node.attributes["shape"]
    kept = index >= 0
    y = x.new_zeros(len(x), int(torch.tensor(shape).prod()))
    y.index_add_(1, index[kept], x.flatten(1)[:, kept])
    # A sum of at most m entries is off by gamma_m of the sum of their sizes, a map whose norm is sqrt(m).
    most = int(torch.bincount(index[kept]).max()) if bool(kept.any()) else 0
    return y.reshape(len(x), *shape), sample_norms(x) * (gamma(most + 1) * sqrt_up(float(most)))


COPIES: dict[str, Rule] = {"gather": gather, "put": put, "take": take}
"""Operations by name."""
