"""Pooling and products with matrices along axes, in float64 with error bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.certify.records import Node
from onelip.certify.values import SLACK, Rule, Values, exact, root, rounded, sample_norms, stored
from onelip.linalg import gamma


def _window_matrices(node: Node, like: Tensor) -> tuple[Tensor, Tensor]:
    a = node.attributes
    matrices = []
    for name, size in (("row", like.shape[-2]), ("column", like.shape[-1])):
        windows = a[f"{name}s"]
        matrix = like.new_zeros(len(windows), size)
        for i, (start, end) in enumerate(windows):
            matrix[i, start:end] = 1.0
        matrices.append(matrix)
    return matrices[0], matrices[1]


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
    rows, columns = _window_matrices(node, x)
    y = root(rows @ x.square() @ columns.mT) * _outer_scales(node, x)
    return rounded(y, x.shape[-1] + x.shape[-2] + 4)


def matrices(node: Node, inputs: list[Tensor]) -> Values:
    """Multiply along axes by one stored matrix each.

    Args:
        node: Has `axes`, and the tensors `matrix0`, `matrix1`, ... `(m, n)`.
        inputs: One `(N, ...)`.

    Returns:
        `(N, ...)`, with m instead of n entries along each of the axes.
    """
    x, y, size, terms = inputs[0], inputs[0], 1.0, 2
    for k, axis in enumerate(node.attributes["axes"]):
        matrix = stored(node, f"matrix{k}", x)
        y = (y.movedim(axis + 1, -1) @ matrix.mT).movedim(-1, axis + 1)
        absolute = matrix.abs()
        # || |M| || is at most the root of its largest row sum times its largest column sum.
        size *= math.sqrt(float(absolute.sum(0).max())) * math.sqrt(float(absolute.sum(1).max())) * SLACK
        terms += matrix.shape[1] + 1
    return y, sample_norms(x) * (size * gamma(terms))


def max_windows(node: Node, inputs: list[Tensor]) -> Values:
    """Take the maximum of each window.

    Args:
        node: Has `axes`, and `windows`: for each axis the entries of each window.
        inputs: One `(N, ...)`.

    Returns:
        `(N, ...)`, with one entry for each window along each of the axes.
    """
    y = inputs[0]
    for axis, windows in zip(node.attributes["axes"], node.attributes["windows"], strict=True):
        longest = max(map(len, windows))
        # Repeating an entry does not change a maximum.
        filled = [[*window, *[window[0]] * (longest - len(window))] for window in windows]
        index = torch.tensor(filled, device=y.device)
        y = y.index_select(axis + 1, index.flatten()).unflatten(axis + 1, index.shape).amax(axis + 2)
    return exact(y)


WINDOWS: dict[str, Rule] = {"matrices": matrices, "max_windows": max_windows, "window_norm": window_norm}
"""Operations by name."""
