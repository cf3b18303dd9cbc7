"""Singular values by brute force: the dense matrix of an affine map, column by column."""

import math

import torch


def dense_values(module, shape):
    """Singular values of a module in eval mode, falling, in its own precision."""
    module.eval()
    like = next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), torch.zeros(()))
    with torch.no_grad():
        columns = torch.eye(math.prod(shape), dtype=like.dtype).reshape(-1, *shape)
        matrix = (module(columns) - module(torch.zeros_like(columns[:1]))).flatten(1).T
    return torch.linalg.svdvals(matrix)
