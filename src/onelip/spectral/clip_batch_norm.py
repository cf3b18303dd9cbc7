"""The norm of a batch normalisation in eval mode, and its clipping."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
"""Batch normalisations: in eval mode with running statistics, maps with a diagonal matrix."""


def batch_norm_norm(bn: BatchNorm) -> float:
    """Give the l2 norm of a batch normalisation in eval mode, max over i of |gamma_i| / sqrt(running_var_i + eps).

    During training the variance of the batch takes the place of `running_var`, so this is not the norm of what a
    training forward computes.

    Args:
        bn: Has running statistics; gamma is 1 if it is not affine.

    Returns:
        The norm, in float64.

    Raises:
        ValueError: If it has no running statistics.
    """
    return float(batch_norm_gains(bn).abs().max())


def batch_norm_gains(bn: BatchNorm) -> Tensor:
    """Give what a batch normalisation in eval mode multiplies its channels by, gamma_i / sqrt(running_var_i + eps).

    Args:
        bn: Has running statistics; gamma is 1 if it is not affine.

    Returns:
        `(channels,)`, float64.

    Raises:
        ValueError: If it has no running statistics.
    """
    gains = 1.0 / _deviations(bn)
    return gains if bn.weight is None else bn.weight.detach().double() * gains


def clip_batch_norm_(bn: BatchNorm, max_norm: float) -> None:
    """Clamp gamma to +-max_norm sqrt(running_var + eps), so that the norm in eval mode is at most max_norm.

    Entries below stay bit for bit; nothing but gamma changes, in place.

    Args:
        bn: Changed in place.
        max_norm: Positive.

    Raises:
        ValueError: If max_norm is not positive, if there are no running statistics, or if the norm is larger and there
            is no gamma (`affine=False`).

    Paper:
        Gouk et al. 2021, arXiv:1804.04368, section 3.3, without a division of what is below.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} in clip_batch_norm_ must be positive")
    limits = max_norm * _deviations(bn)
    weight: Tensor | None = bn.weight
    if weight is None:
        if batch_norm_norm(bn) > max_norm:
            raise ValueError(
                f"affine=False in {type(bn).__name__} leaves no gamma to clip, and its norm {batch_norm_norm(bn):.4g} "
                f"is above max_norm={max_norm}"
            )
        return
    with torch.no_grad():
        bound = limits.to(weight.dtype)
        above = weight.abs() > bound
        if above.any():
            weight.copy_(torch.where(above, torch.copysign(bound, weight), weight))


def _deviations(bn: BatchNorm) -> Tensor:
    if bn.running_var is None:
        raise ValueError(f"track_running_stats=False in {type(bn).__name__}: it is no fixed map, so it has no norm")
    return (bn.running_var.detach().double() + bn.eps).sqrt()
