"""Constants of torch's dense layers and batch normalisation, proved from the stored weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from onelip.bounds.registry import NORMS, Refused, largest, register_bound, register_modules
from onelip.linalg import Bound, divide_up, down, matrix_norm_bound


def _linear_module(module: Any, _: tuple[int, ...]) -> Bound:
    return matrix_norm_bound(module.weight)


def channel_factors(variance: Tensor, eps: float, weight: Tensor | None) -> Bound:
    """Bound x_c -> weight_c x_c / sqrt(variance_c + eps), in real arithmetic on the stored numbers.

    Args:
        variance: `(C,)`, >= 0.
        eps: Added to it.
        weight: `(C,)` or None for ones.

    Returns:
        The largest |factor|, rounded up.

    Raises:
        Refused: If a number is NaN or infinite, or a variance plus eps is not positive.
    """
    largest(variance)
    numerator = torch.ones_like(variance) if weight is None else weight
    largest(numerator)
    value = 0.0
    pairs = zip(numerator.detach().double().tolist(), variance.detach().double().tolist(), strict=True)
    for factor, spread in pairs:
        # Two roundings: of the sum, and of its root.
        below = down(math.sqrt(down(spread + eps))) if spread + eps > 0 else 0.0
        if below <= 0:
            raise Refused("a variance plus eps is not positive")
        value = max(value, divide_up(abs(factor), below))
    return Bound(value, True, "channel factors")


def _batch_norm(module: Any, _: tuple[int, ...]) -> Bound:
    if module.running_var is None:
        raise Refused("without running statistics it divides by the batch's own standard deviation")
    return channel_factors(module.running_var, module.eps, module.weight)


def _own_statistics(module: Any, _: tuple[int, ...]) -> Bound:
    raise Refused(
        "it divides by the sample's own standard deviation, so its only global constant is of the order of "
        "1/sqrt(eps) and of no use; use onelip's centering layers or BatchNorm"
    )


def _attention(module: Any, _: tuple[int, ...]) -> Bound:
    raise Refused("dot-product attention has unbounded derivatives")


def _bilinear(module: Any, _: tuple[int, ...]) -> Bound:
    raise Refused("a product of two signals has unbounded derivatives")


register_bound(nn.Linear, _linear_module)
register_modules(_batch_norm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
for _norm in NORMS:
    register_modules(
        _own_statistics, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
        nn.RMSNorm, norm=_norm,
    )  # fmt: skip
    register_bound(nn.MultiheadAttention, _attention, norm=_norm)
    register_bound(nn.Bilinear, _bilinear, norm=_norm)
