"""Singular values by the dense Jacobian in float64: slow, and independent of the library."""

import copy

import torch
from torch import Tensor, nn


def dense_matrix(module: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    """Build the matrix of the linear part of an affine module in eval mode."""
    module = copy.deepcopy(module).double().eval().requires_grad_(False)
    n = int(torch.tensor(input_shape).prod())
    points = torch.cat([torch.eye(n, dtype=torch.float64), torch.zeros(1, n, dtype=torch.float64)])
    images = module(points.reshape(-1, *input_shape)).flatten(1)
    return (images[:-1] - images[-1:]).T


def dense_values(module: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    """All singular values of an affine module in eval mode, falling."""
    return torch.linalg.svdvals(dense_matrix(module, input_shape))


def dense_norm(module: nn.Module, input_shape: tuple[int, ...]) -> float:
    """The largest singular value of an affine module in eval mode."""
    return float(dense_values(module, input_shape)[0])
