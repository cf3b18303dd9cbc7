"""The slow, independent reference: the whole matrix of an affine map, and its singular values in float64."""

import copy

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
