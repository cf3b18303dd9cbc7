"""Dense matrices of layers, by running them on a basis in float64: slow and independent of the library."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def dense_matrix(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """The matrix (outputs, inputs) of the plain form of an affine layer, in float64."""
    plain = layer.to_plain().double()
    size = int(torch.Size(shape).numel())
    with torch.no_grad():
        zero = plain(torch.zeros(1, *shape, dtype=torch.float64))
        return (plain(torch.eye(size, dtype=torch.float64).view(size, *shape)) - zero).flatten(1).T


def singular_values(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Its singular values, falling."""
    return torch.linalg.svdvals(dense_matrix(layer, shape))


def train(layer: nn.Module, x: Tensor, steps: int, rate: float, *, retract: bool = False) -> None:
    """Adam steps towards a random target."""
    optimizer = torch.optim.Adam(layer.parameters(), rate)
    with torch.no_grad():
        target = torch.randn_like(layer(x))
    for _ in range(steps):
        optimizer.zero_grad()
        (layer(x) - target).square().mean().backward()
        optimizer.step()
        if retract:
            layer.retract_()
