"""The slow, independent reference: the whole matrix of an affine map, and its singular values."""

import copy
import math

import torch


def dense_matrix(module, input_shape):
    """Build the matrix of the linear part, column by column in float64."""
    n = int(torch.tensor(input_shape).prod())
    double = copy.deepcopy(module).double().eval()
    with torch.no_grad():
        probes = torch.cat([torch.zeros(1, n), torch.eye(n)]).double().reshape(-1, *input_shape)
        images = double(probes).flatten(1)
    return (images[1:] - images[:1]).T


def dense_norm(module, input_shape):
    """Measure the largest singular value of the linear part by a dense SVD."""
    return float(torch.linalg.svdvals(dense_matrix(module, input_shape))[0])


def dense_values(module, shape):
    """Singular values of a module in eval mode, falling, in its own precision."""
    module.eval()
    like = next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), torch.zeros(()))
    with torch.no_grad():
        columns = torch.eye(math.prod(shape), dtype=like.dtype).reshape(-1, *shape)
        matrix = (module(columns) - module(torch.zeros_like(columns[:1]))).flatten(1).T
    return torch.linalg.svdvals(matrix)
