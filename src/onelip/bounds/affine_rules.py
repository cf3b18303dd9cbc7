"""Constants of torch's dense layers, convolutions and batch normalisation, proved from the stored weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from onelip.bounds.registry import Refused, largest, register_bound, register_modules
from onelip.bounds.windows import padding_repeats, repeats_bound
from onelip.linalg import Bound, conv_norm_bound, divide_up, down, matrix_norm_bound

Pads = tuple[tuple[int, int], ...]
"""Pixels (before, after) along each spatial axis, first axis first."""


def conv_bound(
    weight: Tensor,
    sizes: tuple[int, ...],
    *,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    pads: Pads,
    mode: str = "zeros",
) -> Bound:
    """Bound a 1-D or 2-D convolution at one image size.

    The bound of `conv_norm_bound` holds for zero padding, and for circular padding that adds at most d (k - 1) pixels
    (with the size a multiple of the stride, else that of stride 1 does, since a stride drops outputs). Any other
    padding first copies pixels: the constant times the root of the number of copies of a pixel.

    Args:
        weight: `(out, in/groups, k)` or `(out, in/groups, kh, kw)`.
        sizes: Length, or height and width, of the input.
        stride: One number for each spatial axis.
        dilation: Likewise.
        groups: Number of groups.
        pads: Likewise.
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The proved bound.
    """
    counts = [padding_repeats(n, *p, mode) for n, p in zip(sizes, pads, strict=True)]
    axes = list(zip(sizes, pads, stride, dilation, weight.shape[2:], strict=True))
    base = _kernel_bound(weight, stride, dilation, groups)
    copied = base.then(repeats_bound(counts, base.method))
    if mode != "circular" or max(counts) == 1 or any(sum(p) > d * (k - 1) for _, p, _, d, k in axes):
        return Bound(copied.value, copied.proved, base.method)
    if all(n % s == 0 for n, _, s, _, _ in axes):
        return base
    without_stride = _kernel_bound(weight, (1,) * len(stride), dilation, groups)
    return min(copied, without_stride, key=lambda bound: bound.value)


def _kernel_bound(weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> Bound:
    if weight.dim() == 3:
        weight, stride, dilation = weight[:, :, None], (1, *stride), (1, *dilation)
    (s_h, s_w), (d_h, d_w) = stride, dilation
    return conv_norm_bound(weight, stride=(s_h, s_w), dilation=(d_h, d_w), groups=groups)


def _conv_module(module: Any, input_shape: tuple[int, ...]) -> Bound:
    sides = list(module._reversed_padding_repeated_twice)
    pads = tuple((sides[i], sides[i + 1]) for i in range(len(sides) - 2, -1, -2))
    return conv_bound(
        module.weight,
        input_shape[1:],
        stride=module.stride,
        dilation=module.dilation,
        groups=module.groups,
        pads=pads,
        mode=module.padding_mode,
    )


def _conv_transpose_module(module: Any, _: tuple[int, ...]) -> Bound:
    # The adjoint of a zero-padded convolution of a larger image, cropped.
    return _kernel_bound(module.weight, module.stride, module.dilation, module.groups)


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


register_modules(_conv_module, nn.Conv1d, nn.Conv2d)
register_modules(_conv_transpose_module, nn.ConvTranspose1d, nn.ConvTranspose2d)
register_bound(nn.Linear, _linear_module)
register_modules(_batch_norm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
register_modules(
    _own_statistics, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.RMSNorm
)
register_bound(nn.MultiheadAttention, _attention)
register_bound(nn.Bilinear, _bilinear)
