"""Slow references for the tests of relaxations."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from onelip.certify.export import freeze
from onelip.certify.records import Network
from onelip.layers import to_plain


def matrix_of(apply: Callable[[Tensor], Tensor], before: tuple[int, ...]) -> Tensor:
    """The dense matrix of a linear function of samples, column by column."""
    basis = torch.eye(math.prod(before), dtype=torch.float64).reshape(-1, *before)
    return apply(basis).flatten(1).T


def absolute_slack(dense: Tensor) -> float:
    """What rounding may take off a size."""
    return 1e-13 * float(dense.abs().max())


def frozen(model: nn.Module, shape: tuple[int, ...]) -> Network:
    """The frozen network of a model."""
    return freeze(to_plain(model.eval()), shape).network


def points_of_ball(x: Tensor, radius: float, norm: str, n: int, seed: int = 0) -> Tensor:
    """Points `(N, n, ...)` of the balls around samples, many of them on the border."""
    generator = torch.Generator().manual_seed(seed)
    offset = torch.randn(len(x), n, x[0].numel(), generator=generator, dtype=torch.float64)
    length = offset.norm(dim=2, keepdim=True) if norm == "l2" else offset.abs().amax(2, keepdim=True)
    share = torch.rand(len(x), n, 1, generator=generator, dtype=torch.float64).clamp(min=0.5).mul(2).clamp(max=1)
    return x.double()[:, None] + (radius * share * offset / length).reshape(len(x), n, *x.shape[1:])


def least_margins(model: nn.Module, points: Tensor, labels: Tensor) -> Tensor:
    """The least z_t - z_j over points `(N, n, ...)`."""
    with torch.no_grad():
        logits = model.double()(points.flatten(0, 1)).unflatten(0, points.shape[:2])
    own = logits.gather(2, labels[:, None, None].expand(-1, points.shape[1], 1))
    return (own - logits).amin(1)


def exact(tensor: Tensor) -> Any:
    """A tensor as nested lists of fractions."""
    values = tensor.tolist()

    def convert(v: Any) -> Any:
        return [convert(e) for e in v] if isinstance(v, list) else Fraction(v)

    return convert(values)
