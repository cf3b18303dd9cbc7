"""Singular values by the dense Jacobian in float64: slow, and independent of the library."""

import copy

import torch
from torch import Tensor, nn


def dense_values(module: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    """All singular values of an affine module in eval mode, falling."""
    module = copy.deepcopy(module).double().eval().requires_grad_(False)
    n = int(torch.tensor(input_shape).prod())
    points = torch.cat([torch.eye(n, dtype=torch.float64), torch.zeros(1, n, dtype=torch.float64)])
    images = module(points.reshape(-1, *input_shape)).flatten(1)
    return torch.linalg.svdvals(images[:-1] - images[-1:])
