"""Pooling over the products of row windows and column windows, in float64 with error bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.certify.records import Node
from onelip.certify.values import SLACK, Values, root, rounded, sample_norms
from onelip.linalg import gamma


def _window_matrices(node: Node, like: Tensor, scaled: bool) -> tuple[Tensor, Tensor]:
    a = node.attributes
    matrices = []
    for name, size in (("row", like.shape[-2]), ("column", like.shape[-1])):
        windows = a[f"{name}s"]
        matrix = like.new_zeros(len(windows), size)
        for i, (start, end) in enumerate(windows):
            matrix[i, start:end] = a[f"{name}_scales"][i] if scaled else 1.0
        matrices.append(matrix)
    return matrices[0], matrices[1]


def window_sum(node: Node, inputs: list[Tensor]) -> Values:
    """Sum each window, times its scales.

    Args:
        node: Has the windows and scales of both axes.
        inputs: One `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    x = inputs[0]
    rows, columns = _window_matrices(node, x, scaled=True)
    y = rows @ x @ columns.mT
    absolute = 1.0
    for matrix in (rows, columns):
        sums = matrix.abs()
        absolute *= math.sqrt(float(sums.sum(0).max())) * math.sqrt(float(sums.sum(1).max())) * SLACK
    return y, sample_norms(x) * (absolute * gamma(x.shape[-1] + x.shape[-2] + 4))


def _outer_scales(node: Node, like: Tensor) -> Tensor:
    a = node.attributes
    return torch.outer(like.new_tensor(a["row_scales"]), like.new_tensor(a["column_scales"]))


def window_norm(node: Node, inputs: list[Tensor]) -> Values:
    """Take the l2 norm of each window, times its scales.

    Args:
        node: Has the windows and scales of both axes.
        inputs: One `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    x = inputs[0]
    rows, columns = _window_matrices(node, x, scaled=False)
    y = root(rows @ x.square() @ columns.mT) * _outer_scales(node, x)
    return rounded(y, x.shape[-1] + x.shape[-2] + 4)


def window_max(node: Node, inputs: list[Tensor]) -> Values:
    """Take the maximum of each window, times its scales.

    Args:
        node: Has the windows and scales of both axes.
        inputs: One `(N, C, H, W)`.

    Returns:
        `(N, C, H', W')`.
    """
    x, a = inputs[0], node.attributes
    rows = torch.stack([x[..., start:end, :].amax(-2) for start, end in a["rows"]], -2)
    y = torch.stack([rows[..., start:end].amax(-1) for start, end in a["columns"]], -1)
    return rounded(y * _outer_scales(node, x), 2)
