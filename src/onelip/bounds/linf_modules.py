"""Constants of modules in the maximum norm.

A linear map stretches the maximum norm by at most its largest absolute row sum, and by exactly that for some input.
Where no two taps meet the same pixel, that row sum is what the map with weights |w| returns for an image of ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip import layers
from onelip.bounds.network import lipschitz_bound
from onelip.bounds.registry import Refused, known, module_bound, one, register_bound, register_modules
from onelip.layers.circular import conv_transpose2d_circular
from onelip.layers.residuals import Residual
from onelip.linalg import UNIT_ROUNDOFF, Bound, divide_up, multiply_up, sqrt_up
from onelip.linalg.norms import finite_double, power_of_two_scale, scaled_bound, sum_up

Shape = tuple[int, ...]

_POOL_ROUNDINGS = 64
"""Roundings in what a pooling layer returns for an image of ones, and in the scales that a certificate stores."""


def row_sum_bound(weight: Tensor, apply: Callable[[Tensor], Tensor]) -> Bound:
    """Bound a linear map by its largest absolute row sum.

    Args:
        weight: Its weights, real.
        apply: What the map with weights |weight| does to an input of ones.

    Returns:
        The proved bound.

    Raises:
        ValueError: If a weight is not finite, or the sum overflows.
    """
    w = finite_double(weight, "weight")
    if not bool(w.any()):
        return Bound(0.0, True, "zero")
    scaled, exponent = power_of_two_scale(w)
    sums = sum_up(apply(scaled.abs()), 2 * w.numel())
    return scaled_bound(float(sums.max()), exponent, "row sums")


def linear_linf_bound(weight: Tensor) -> Bound:
    """Bound a dense layer.

    Args:
        weight: `(out, in)`.

    Returns:
        The largest absolute row sum.
    """
    return row_sum_bound(weight, lambda w: w.sum(1))


def conv_linf_bound(
    weight: Tensor,
    sizes: Shape,
    *,
    stride: Shape,
    dilation: Shape,
    pads: tuple[tuple[int, int], ...],
    mode: str = "zeros",
) -> Bound:
    """Bound a convolution at one image size.

    Args:
        weight: `(out, in/groups, ...)` with one, two or three spatial axes.
        sizes: Spatial axes of the input.
        stride: One number for each spatial axis.
        dilation: Likewise.
        pads: Pixels (before, after) along each spatial axis.
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The largest sum of the sizes of the taps that fall on the image; padding that copies pixels is counted as if no
        two taps met the same one.
    """
    flat = [p for pair in reversed(pads) for p in pair]
    filled = 0.0 if mode == "zeros" else 1.0
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(sizes) - 1]
    ones = F.pad(torch.ones(1, 1, *sizes, dtype=torch.float64), flat, value=filled)
    return row_sum_bound(weight, lambda w: convolve(ones, w.sum(1, keepdim=True), None, stride, 0, dilation))


def _conv_module(module: Any, shape: Shape) -> Bound:
    sides = list(module._reversed_padding_repeated_twice)
    pads = tuple((sides[i], sides[i + 1]) for i in range(len(sides) - 2, -1, -2))
    options = {"stride": module.stride, "dilation": module.dilation, "pads": pads, "mode": module.padding_mode}
    return conv_linf_bound(module.weight, shape[1:], **options)


def _conv_transpose_module(module: Any, shape: Shape) -> Bound:
    m, sizes = module, shape[1:]
    convolve: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(sizes) - 1]
    ones = torch.ones(1, m.groups, *sizes, dtype=torch.float64)

    def apply(w: Tensor) -> Tensor:
        summed = w.unflatten(0, (m.groups, -1)).sum(1)
        result: Tensor = convolve(ones, summed, None, m.stride, m.padding, m.output_padding, m.groups, m.dilation)
        return result

    return row_sum_bound(m.weight, apply)


def _circular_conv(module: Any, shape: Shape) -> Bound:
    return row_sum_bound(module.weight, lambda w: w.flatten(1).sum(1))


def _circular_conv_transpose(module: Any, shape: Shape) -> Bound:
    ones = torch.ones(1, *shape, dtype=torch.float64)
    return row_sum_bound(module.weight, lambda w: conv_transpose2d_circular(ones, w, None, module.arguments))


def _of_ones(module: Any, shape: Shape) -> Bound:
    # A sum of a window with weights >= 0, and a norm of a window, stretch ones the most.
    largest = float(module(torch.ones(1, *shape, dtype=torch.float64)).max())
    return Bound(multiply_up(largest, 1 + _POOL_ROUNDINGS * UNIT_ROUNDOFF), True, "window sums")


def _same_as_l2(module: nn.Module, shape: Shape) -> Bound:
    # The largest derivative of what acts on each entry by itself.
    bound = module_bound(module, shape)
    if bound is None:
        raise Refused("it has no constant in l2 either")
    return bound


def _centering(module: Any, shape: Shape) -> Bound:
    # |1 - 1/n| + (n - 1)/n for the mean of n entries.
    n = math.prod(shape[1:]) if len(shape) > 1 else shape[0]
    return known(divide_up(2.0 * (n - 1), float(n)), "row sums")


def _root_two(module: nn.Module, shape: Shape) -> Bound:
    # Isometries of planes, each at most |z|_2 <= sqrt 2 |z|_inf.
    return known(sqrt_up(2.0), "planes")


def _upsample(module: Any, shape: Shape) -> Bound:
    if module.mode != "nearest":
        raise Refused(f"mode={module.mode!r} is not bounded here, only mode='nearest' is")
    return one()


def _max_pool(module: Any, shape: Shape) -> Bound:
    return one()


def _residual(module: Residual, shape: Shape) -> Bound:
    # Sums and concatenations of halves obey the same formulas as in l2; a root mean square is at most as large as its
    # larger part.
    inner = module.branch_shape(shape)
    if inner is None:
        raise Refused("the shape of its branch's input is not known")
    return module.bound_from(lipschitz_bound(module.fn, inner, "linf").bound)


def _convex_residual(module: layers.ConvexResidual, shape: Shape) -> Bound:
    return module.bound_from([lipschitz_bound(branch, shape, "linf").bound for branch in module.branches])


_COPYING = (
    nn.Identity, nn.ReLU, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
    nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.ZeroPad1d, nn.ZeroPad2d,
    nn.ConstantPad1d, nn.ConstantPad2d, nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d,
    nn.ReplicationPad2d, nn.CircularPad1d, nn.CircularPad2d, layers.Abs, layers.BetaAbs, layers.MaxMin,
    layers.MaxMinReLU, layers.GroupSort, layers.FullSort, layers.Maxout, layers.NActivation, layers.ReLU,
    layers.SoftHuber, layers.LPReLU, layers.ChannelPad, layers.ChannelKeep, layers.ChannelShuffle,
    layers.InvertibleDownsampling2d, layers.InvertibleUpsampling2d, layers.PositionalCode2d, layers.BatchCentering,
)  # fmt: skip
"""Classes with constant 1: entries are copied, sorted, folded, shifted or compared."""

_ENTRYWISE = (
    nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Tanhshrink, nn.Softplus, nn.Softsign, nn.Softshrink, nn.LogSigmoid, nn.CELU,
    nn.Sigmoid, nn.SiLU, nn.Mish, nn.SELU, nn.Hardswish, nn.Hardsigmoid, nn.GELU, nn.ELU, nn.LeakyReLU, nn.RReLU,
    nn.PReLU, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, layers.Scale, layers.Normalize,
    layers.BatchLipNorm,
)  # fmt: skip
"""Classes that map each entry by itself, and so have the same constant in every norm."""

register_modules(one, *_COPYING, norm="linf")
register_modules(_same_as_l2, *_ENTRYWISE, norm="linf")
# The absolute row sums of the Jacobian of softmax are at most 1/2, which is how its l2 norm is bounded.
register_modules(_same_as_l2, nn.Softmax, nn.Softmin, nn.Softmax2d, norm="linf")
register_bound(nn.Linear, lambda m, _: linear_linf_bound(m.weight), norm="linf")
register_modules(_conv_module, nn.Conv1d, nn.Conv2d, nn.Conv3d, norm="linf")
register_modules(_conv_transpose_module, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, norm="linf")
register_bound(layers.CircularConv2d, _circular_conv, norm="linf")
register_bound(layers.CircularConvTranspose2d, _circular_conv_transpose, norm="linf")
register_modules(
    _of_ones, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d, layers.ScaledAvgPool2d, layers.L2NormPool2d, layers.AdaptiveScaledAvgPool2d,
    layers.AdaptiveL2NormPool2d, norm="linf",
)  # fmt: skip
register_modules(
    _max_pool, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d, norm="linf",
)  # fmt: skip
register_modules(_upsample, nn.Upsample, nn.UpsamplingNearest2d, norm="linf")
register_bound(layers.LayerCentering, _centering, norm="linf")
register_modules(_root_two, layers.HouseHolder, layers.HouseHolder2, norm="linf")
register_bound(layers.ConvexResidual, _convex_residual, norm="linf")
register_modules(
    _residual, layers.AdditiveResidual, layers.ConcatResidual, layers.L2NormResidual, layers.PrescaledResidual,
    norm="linf",
)  # fmt: skip
