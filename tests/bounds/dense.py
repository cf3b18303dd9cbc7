"""The slow reference: dense Jacobians in float64 and their singular values."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

ROUNDING = 1e-9
"""Relative error of the largest singular value of a float64 Jacobian of a few hundred rows, times a thousand."""


def jacobian(model: nn.Module, point: Tensor) -> Tensor:
    """Dense Jacobian at one sample `(...)`, as a matrix, in float64 and eval mode."""
    exact = copy.deepcopy(model).double().eval()
    full = torch.autograd.functional.jacobian(lambda x: exact(x[None])[0], point.double())
    return full.reshape(-1, point.numel())


def steepest(model: nn.Module, shape: tuple[int, ...], n_points: int = 4) -> float:
    """Largest singular value of the Jacobian at a few random points: a lower bound of the constant."""
    g = torch.Generator().manual_seed(1)
    points = [2 * torch.randn(shape, generator=g) for _ in range(n_points)]
    return max(float(torch.linalg.matrix_norm(jacobian(model, p), 2)) for p in points)
