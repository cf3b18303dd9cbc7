"""What every activation is measured by: the Jacobian at generic points, and how far pairs of points move apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def singular_values(layer: nn.Module, x: Tensor) -> Tensor:
    """Singular values of the dense Jacobian at one input, its batch axis included, falling."""
    jacobian = torch.func.jacrev(layer)(x).detach()
    return torch.linalg.svdvals(jacobian.reshape(-1, x.numel())).detach()


def largest_stretch(layer: nn.Module, shape: tuple[int, ...], pairs: int = 4000) -> float:
    """Largest quotient of distances over random pairs of points, near and far."""
    generator = torch.Generator().manual_seed(1)
    x, step = torch.randn(2, pairs, *shape, generator=generator, dtype=torch.float64)
    lengths = torch.logspace(-3, 2, pairs, dtype=torch.float64)
    y = x + step * lengths.reshape(-1, *[1] * len(shape))
    with torch.no_grad():
        moved = (layer(x) - layer(y)).flatten(1).norm(dim=1)
    return float((moved / (x - y).flatten(1).norm(dim=1)).max())
