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
from onelip.bounds.convolution_rules import (
    Convolution,
    TransposedConvolution,
    module_convolution,
    module_transposed,
)
from onelip.bounds.network import lipschitz_bound
from onelip.bounds.pooling_rules import power_pool_scales, spatial, window_matrix
from onelip.bounds.registry import Refused, known, module_bound, one, register_bound, register_modules
from onelip.bounds.resize_rules import Resize, resize_bound, resize_matrices, resize_of_module
from onelip.bounds.windows import per_axis, unfold_repeats
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


def convolution_linf_bound(convolution: Convolution) -> Bound:
    """Bound a convolution.

    Args:
        convolution: What it computes.

    Returns:
        Its largest absolute row sum, as from `conv_linf_bound`.
    """
    c = convolution
    return conv_linf_bound(c.weight, c.sizes, stride=c.stride, dilation=c.dilation, pads=c.pads, mode=c.mode)


def transposed_linf_bound(transposed: TransposedConvolution) -> Bound:
    """Bound a transposed convolution.

    Args:
        transposed: What it computes.

    Returns:
        Its largest absolute row sum.
    """
    t = transposed
    convolve: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(t.sizes) - 1]
    ones = torch.ones(1, t.groups, *t.sizes, dtype=torch.float64)

    def apply(w: Tensor) -> Tensor:
        summed = w.unflatten(0, (t.groups, -1)).sum(1)
        result: Tensor = convolve(ones, summed, None, t.stride, t.padding, t.output_padding, t.groups, t.dilation)
        return result

    return row_sum_bound(t.weight, apply)


def separable_linf_bound(*matrices: Tensor) -> Bound:
    """Bound the map that applies one matrix along each of some axes.

    The absolute row sums of a Kronecker product are the products of those of its factors.

    Args:
        *matrices: `(n', n)` for each axis, every entry rounded at most four times.

    Returns:
        The product of the largest absolute row sums, rounded up.
    """
    value = 1.0
    for matrix in matrices:
        value = multiply_up(value, multiply_up(linear_linf_bound(matrix).value, 1 + 8 * UNIT_ROUNDOFF))
    return Bound(value, True, "row sums")


def power_pool_linf_bound(
    sizes: Shape, power: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Bound:
    """Bound power-average pooling: the l_p norm of n entries moves by at most n^(1/p) times the largest change.

    Args:
        sizes: Pixels of each axis.
        power: The p, 1 or even.
        kernel_size: Window size.
        stride: Distance between windows; None for the window size.
        ceil_mode: Use windows that reach beyond the image?

    Returns:
        The proved bound.

    Raises:
        Refused: If the power is neither 1 nor even.
    """
    windows, scales = power_pool_scales(sizes, power, kernel_size, stride, ceil_mode)
    if power == 1:
        return separable_linf_bound(*map(window_matrix, windows, scales, sizes))
    # What torch multiplies by, times n^(1/p); powers of the library are within a few units.
    largest = math.prod(
        max(scale * len(w) ** (1 / power) for w, scale in zip(*axis, strict=True))
        for axis in zip(windows, scales, strict=True)
    )
    return known(multiply_up(largest, 1 + 2.0**-45), "window sums")


def resize_linf_bound(resize: Resize, sizes: Shape) -> Bound:
    """Bound resizing at one image size.

    Args:
        resize: The arguments.
        sizes: Pixels of each axis.

    Returns:
        1 for copies, else the product of the largest absolute row sums along the axes.

    Raises:
        Refused: If it is not bounded in l2 either.
    """
    resize_bound(resize, sizes)
    if resize.mode in ("nearest", "nearest-exact"):
        return one()
    return separable_linf_bound(*resize_matrices(resize, sizes))


def log_softmax_linf_constant(entries: int) -> Bound:
    """Bound the logarithm of softmax.

    Row i of its Jacobian I - 1 p^T has the absolute sum 2 (1 - p_i).

    Args:
        entries: The length of the axis.

    Returns:
        2; 0 for one entry, whose logarithm is 0.
    """
    return known(2.0 if entries > 1 else 0.0, "row sums")


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


def _comparing(module: Any, shape: Shape) -> Bound:
    # What is refused in l2, such as returning positions, has no constant here either.
    _same_as_l2(module, shape)
    return one()


def _power_pool(m: Any, shape: Shape) -> Bound:
    return power_pool_linf_bound(spatial(m, shape), float(m.norm_type), m.kernel_size, m.stride, m.ceil_mode)


def _fold(m: Any, shape: Shape) -> Bound:
    # Each pixel is a sum of so many entries.
    sizes = per_axis(m.output_size, 2)
    return known(float(unfold_repeats(sizes, m.kernel_size, m.dilation, m.padding, m.stride)), "sums")


def _log_softmax(m: Any, shape: Shape) -> Bound:
    _same_as_l2(m, shape)
    return log_softmax_linf_constant(shape[m.dim % (len(shape) + 1) - 1])


def _residual(module: Residual, shape: Shape) -> Bound:
    # Sums and concatenations of halves obey the same formulas as in l2; a root mean square is at most as large as its
    # larger part.
    inner = module.branch_shape(shape)
    if inner is None:
        raise Refused("the shape of its branch's input is not known")
    return module.bound_from(lipschitz_bound(module.fn, inner, norm="linf").bound)


def _convex_residual(module: layers.ConvexResidual, shape: Shape) -> Bound:
    return module.bound_from([lipschitz_bound(branch, shape, norm="linf").bound for branch in module.branches])


_COPYING = (
    nn.Identity, nn.ReLU, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
    nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.ZeroPad1d, nn.ZeroPad2d,
    nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d, nn.ReflectionPad1d, nn.ReflectionPad2d,
    nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d, nn.CircularPad1d,
    nn.CircularPad2d, nn.CircularPad3d, nn.Unfold, layers.Abs, layers.BetaAbs, layers.MaxMin,
    layers.MaxMinReLU, layers.AdjacentMaxMin, layers.GroupSort, layers.FullSort, layers.Maxout, layers.NActivation,
    layers.ReLU, layers.SoftHuber, layers.LPReLU, layers.TwoSidedReLU, layers.ChannelPad, layers.ChannelKeep,
    layers.ChannelShift2d, layers.ChannelShuffle,
    layers.InvertibleDownsampling2d, layers.InvertibleUpsampling2d, layers.PositionalCode2d, layers.BatchCentering,
)  # fmt: skip
"""Classes with constant 1: entries are copied, sorted, folded, shifted or compared."""

_ENTRYWISE = (
    nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Tanhshrink, nn.Softplus, nn.Softsign, nn.Softshrink, nn.LogSigmoid, nn.CELU,
    nn.Sigmoid, nn.SiLU, nn.Mish, nn.SELU, nn.Hardswish, nn.Hardsigmoid, nn.GELU, nn.ELU, nn.LeakyReLU, nn.RReLU,
    nn.PReLU, nn.Threshold, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, layers.Scale,
    layers.Normalize, layers.BatchLipNorm,
)  # fmt: skip
"""Classes that map each entry by itself, and so have the same constant in every norm."""

register_modules(one, *_COPYING, norm="linf")
register_modules(_same_as_l2, *_ENTRYWISE, norm="linf")
# The absolute row sums of the Jacobian of softmax are at most 1/2, which is how its l2 norm is bounded.
register_modules(_same_as_l2, nn.Softmax, nn.Softmin, nn.Softmax2d, norm="linf")
register_bound(nn.Linear, lambda m, _: linear_linf_bound(m.weight), norm="linf")
register_modules(
    lambda m, s: convolution_linf_bound(module_convolution(m, s)), nn.Conv1d, nn.Conv2d, nn.Conv3d, norm="linf"
)
register_modules(
    lambda m, s: transposed_linf_bound(module_transposed(m, s)),
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, norm="linf",
)  # fmt: skip
register_bound(layers.CircularConv2d, _circular_conv, norm="linf")
register_bound(layers.CircularConvTranspose2d, _circular_conv_transpose, norm="linf")
register_modules(
    _of_ones, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d, layers.ScaledAvgPool2d, layers.L2NormPool2d, layers.AdaptiveScaledAvgPool2d,
    layers.AdaptiveL2NormPool2d, norm="linf",
)  # fmt: skip
register_modules(
    _comparing, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d, norm="linf",
)  # fmt: skip
register_modules(_power_pool, nn.LPPool1d, nn.LPPool2d, nn.LPPool3d, norm="linf")
register_modules(
    lambda m, s: resize_linf_bound(resize_of_module(m), s[1:]),
    nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, norm="linf",
)  # fmt: skip
register_bound(nn.Fold, _fold, norm="linf")
register_bound(nn.LogSoftmax, _log_softmax, norm="linf")
register_bound(layers.LayerCentering, _centering, norm="linf")
register_modules(_root_two, layers.HouseHolder, layers.HouseHolder2, norm="linf")
register_bound(layers.ConvexResidual, _convex_residual, norm="linf")
register_modules(
    _residual, layers.AdditiveResidual, layers.ConcatResidual, layers.L2NormResidual, layers.PrescaledResidual,
    norm="linf",
)  # fmt: skip
