"""Constants of torch's pooling and padding in one, two and three dimensions, from the windows at the given size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onelip.bounds.registry import Refused, known, register_bound, register_modules
from onelip.bounds.windows import (
    adaptive_matrix,
    adaptive_repeats,
    padding_repeats,
    per_axis,
    repeats_bound,
    separable_bound,
    shared,
    sliding_matrix,
    sliding_windows,
    unfold_repeats,
)
from onelip.linalg import EXACT_ONE, Bound, multiply_up

Sizes = tuple[int, ...]


def spatial(module: nn.Module, shape: Sizes) -> Sizes:
    """Take the axes of a sample that a module of torch works on, by the number in the name of its class.

    Args:
        module: Such as an `nn.AvgPool2d`, or of a subclass.
        shape: Shape of one sample.

    Returns:
        Pixels of its last axes.
    """
    n_axes = next(int(kind.__name__[-2]) for kind in type(module).__mro__ if kind.__name__[-2:] in ("1d", "2d", "3d"))
    return shape[-n_axes:]


def pool_counts(sizes: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, ceil_mode: bool) -> Sizes:
    """Count torch's pooling windows along each axis.

    Args:
        sizes: Pixels of each axis.
        kernel: Pixels that a window spans along each axis.
        stride: Distance between windows.
        padding: Pixels on either side.
        ceil_mode: Use windows that reach beyond the image?

    Returns:
        The numbers of windows.
    """
    wide = tuple(n + 2 * p for n, p in zip(sizes, padding, strict=True))
    counts = []
    for n, size, k, s, p in zip(wide, sizes, kernel, stride, padding, strict=True):
        count = (-((k - n) // s) if ceil_mode else (n - k) // s) + 1
        # The last window must start inside of the image or of the padding in front of it.
        counts.append(count - 1 if ceil_mode and (count - 1) * s >= size + p else count)
    return tuple(counts)


def avg_pool_matrices(
    sizes: Sizes,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> list[Tensor]:
    """Write average pooling as one matrix along each axis.

    Args:
        sizes: Pixels of each axis.
        kernel_size: As in `nn.AvgPool2d`, and so on.
        stride: Distance between windows; None for the window size.
        padding: Zeros on either side.
        ceil_mode: Use windows that reach beyond the image?
        count_include_pad: Count padded zeros in the divisor?
        divisor_override: Divide by this number instead.

    Returns:
        `(n_windows, n)` float64 for each axis, every entry rounded at most once.
    """
    kernel = per_axis(kernel_size, len(sizes))
    step = kernel if not stride else per_axis(stride, len(sizes))
    pads = per_axis(padding, len(sizes))
    counts = pool_counts(sizes, kernel, step, pads, ceil_mode)
    matrices = [
        sliding_matrix(*axis, include_pad=count_include_pad)
        for axis in zip(sizes, kernel, step, pads, counts, strict=True)
    ]
    if divisor_override is None:
        return matrices
    sums = [(matrix != 0).to(torch.float64) for matrix in matrices]
    return [sums[0] / divisor_override, *sums[1:]]


def avg_pool_bound(sizes: Sizes, *options: Any) -> Bound:
    """Bound average pooling at one image size: the norms of its window matrices.

    Args:
        sizes: Pixels of each axis.
        *options: As in `avg_pool_matrices`.

    Returns:
        The proved bound.
    """
    return separable_bound(*avg_pool_matrices(sizes, *options))


def max_pool_windows(
    sizes: Sizes, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> list[list[list[int]]]:
    """List the windows of max pooling along each axis.

    Args:
        sizes: Pixels of each axis.
        kernel_size: As in `nn.MaxPool2d`, and so on.
        stride: Distance between windows; None for the window size.
        padding: Pixels on either side, which are never the maximum.
        dilation: Distance between the pixels of a window.
        ceil_mode: Use windows that reach beyond the image?

    Returns:
        For each axis, the pixels of each window.
    """
    kernel = per_axis(kernel_size, len(sizes))
    step = kernel if not stride else per_axis(stride, len(sizes))
    pads, gaps = per_axis(padding, len(sizes)), per_axis(dilation, len(sizes))
    extent = tuple(d * (k - 1) + 1 for d, k in zip(gaps, kernel, strict=True))
    counts = pool_counts(sizes, extent, step, pads, ceil_mode)
    return [sliding_windows(*axis) for axis in zip(sizes, kernel, step, pads, counts, gaps, strict=True)]


def max_pool_bound(sizes: Sizes, *options: Any) -> Bound:
    """Bound max pooling at one image size: the root of the number of windows that share a pixel.

    Args:
        sizes: Pixels of each axis.
        *options: As in `max_pool_windows`.

    Returns:
        The proved bound; 1 if windows do not overlap.
    """
    return repeats_bound([shared(axis) for axis in max_pool_windows(sizes, *options)], "window overlap")


def max_pool_options(m: Any) -> tuple[Any, ...]:
    """Collect the options of a module of max pooling.

    Args:
        m: An `nn.MaxPool1d`, `nn.MaxPool2d` or `nn.MaxPool3d`.

    Returns:
        Them as `max_pool_windows` takes them.
    """
    return m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode


def power_pool_scales(
    sizes: Sizes, power: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> tuple[list[list[list[int]]], list[list[float]]]:
    """Describe torch's power-average pooling: the l_p norm of each window, times one scale for each axis.

    Torch divides by the pixels in a window and multiplies by those that a full one has, so windows that are cut at the
    border count for more.

    Args:
        sizes: Pixels of each axis.
        power: The p.
        kernel_size: As in `nn.LPPool2d`.
        stride: Distance between windows; None for the window size.
        ceil_mode: Use windows that reach beyond the image?

    Returns:
        The windows along each axis, and their scales.

    Raises:
        Refused: If the power is neither 1 nor even.
    """
    if power != 1 and (power <= 0 or power % 2 != 0):
        raise Refused(f"norm_type={power:g} takes roots of sums that may vanish or be negative; use 1 or 2")
    windows = max_pool_windows(sizes, kernel_size, stride, ceil_mode=ceil_mode)
    kernel = per_axis(kernel_size, len(sizes))
    return windows, [[(k / len(w)) ** (1 / power) for w in axis] for k, axis in zip(kernel, windows, strict=True)]


def power_pool_bound(
    sizes: Sizes, power: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Bound:
    """Bound power-average pooling.

    A norm with p >= 2 is at most the l2 norm, so pooling is bounded by the root of the number of windows that share a
    pixel, times the largest scale; with p = 1 torch sums without taking absolute values, which is linear.

    Args:
        sizes: Pixels of each axis.
        power: As in `nn.LPPool2d`, and so on.
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
        return separable_bound(*map(window_matrix, windows, scales, sizes))
    bound = repeats_bound([shared(axis) for axis in windows], "window overlap")
    # A quotient and a root whose library function is within a few units.
    largest = math.prod(max(axis) for axis in scales)
    return bound if largest == 1 else bound.then(known(multiply_up(largest, 1 + 2.0**-45), "scale"))


def window_matrix(windows: Sequence[Sequence[int]], scales: Sequence[float], size: int) -> Tensor:
    """Write sums over windows of a line as a matrix.

    Args:
        windows: Pixels of each.
        scales: Factor of each.
        size: Pixels of the line.

    Returns:
        `(n_windows, size)` float64.
    """
    matrix = torch.zeros(len(windows), size, dtype=torch.float64)
    for row, window, scale in zip(matrix, windows, scales, strict=True):
        row[list(window)] = scale
    return matrix


def adaptive_sizes(sizes: Sizes, output_size: Any) -> Sizes:
    """Complete the output size of adaptive pooling.

    Args:
        sizes: Pixels of each axis.
        output_size: An int, or one int or None for each axis.

    Returns:
        Pixels of each axis of the output.
    """
    each = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * len(sizes)
    return tuple(int(size if wanted is None else wanted) for size, wanted in zip(sizes, each, strict=True))


def adaptive_avg_bound(sizes: Sizes, output_size: Any) -> Bound:
    """Bound adaptive average pooling at one image size.

    Args:
        sizes: Pixels of each axis.
        output_size: As in `nn.AdaptiveAvgPool2d`.

    Returns:
        The proved bound.
    """
    return separable_bound(*map(adaptive_matrix, sizes, adaptive_sizes(sizes, output_size)))


def adaptive_max_bound(sizes: Sizes, output_size: Any) -> Bound:
    """Bound adaptive max pooling at one image size.

    Args:
        sizes: Pixels of each axis.
        output_size: As in `nn.AdaptiveMaxPool2d`.

    Returns:
        The proved bound.
    """
    counts = map(adaptive_repeats, sizes, adaptive_sizes(sizes, output_size))
    return repeats_bound(list(counts), "window overlap")


def pad_bound(sizes: Sizes, pads: tuple[int, ...], mode: str) -> Bound:
    """Bound padding at one image size: the root of the number of copies of a pixel.

    Args:
        sizes: The padded axes, last axis last.
        pads: (before, after) of the last axis, then of the one before it, and so on, as in `F.pad`.
        mode: "constant", "reflect", "replicate" or "circular".

    Returns:
        The proved bound.
    """
    sides = list(zip(pads[::2], pads[1::2], strict=True))
    counts = [padding_repeats(n, *side, mode) for n, side in zip(reversed(sizes), sides, strict=False)]
    return repeats_bound(counts, "pixel copies")


def avg_pool_options(m: Any) -> tuple[Any, ...]:
    """Collect the options of a module of average pooling.

    Args:
        m: An `nn.AvgPool1d`, `nn.AvgPool2d` or `nn.AvgPool3d`.

    Returns:
        Them as `avg_pool_matrices` takes them.
    """
    override = getattr(m, "divisor_override", None)
    return m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, override


def _avg_pool(m: Any, shape: Sizes) -> Bound:
    return avg_pool_bound(spatial(m, shape), *avg_pool_options(m))


def _max_pool(m: Any, shape: Sizes) -> Bound:
    if m.return_indices:
        raise Refused("return_indices=True returns positions, which are not continuous; use return_indices=False")
    return max_pool_bound(spatial(m, shape), *max_pool_options(m))


def _adaptive_max(m: Any, shape: Sizes) -> Bound:
    if m.return_indices:
        raise Refused("return_indices=True returns positions, which are not continuous; use return_indices=False")
    return adaptive_max_bound(spatial(m, shape), m.output_size)


def _power_pool(m: Any, shape: Sizes) -> Bound:
    return power_pool_bound(spatial(m, shape), float(m.norm_type), m.kernel_size, m.stride, m.ceil_mode)


def _padding(mode: str) -> Any:
    def rule(module: Any, shape: Sizes) -> Bound:
        return pad_bound(spatial(module, shape), tuple(module.padding), mode)

    return rule


def _unfold(m: Any, shape: Sizes) -> Bound:
    return repeats_bound([unfold_repeats(shape[-2:], m.kernel_size, m.dilation, m.padding, m.stride)], "pixel copies")


def _fold(m: Any, shape: Sizes) -> Bound:
    # The adjoint of unfolding.
    sizes = per_axis(m.output_size, 2)
    return repeats_bound([unfold_repeats(sizes, m.kernel_size, m.dilation, m.padding, m.stride)], "sums")


register_modules(_avg_pool, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
register_modules(_max_pool, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
register_modules(
    lambda m, s: adaptive_avg_bound(spatial(m, s), m.output_size),
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
)
register_modules(_adaptive_max, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
register_modules(_power_pool, nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
register_modules(
    lambda m, s: EXACT_ONE,
    nn.ZeroPad1d,
    nn.ZeroPad2d,
    nn.ZeroPad3d,
    nn.ConstantPad1d,
    nn.ConstantPad2d,
    nn.ConstantPad3d,
)
register_modules(_padding("reflect"), nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d)
register_modules(_padding("replicate"), nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d)
register_modules(_padding("circular"), nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d)
register_bound(nn.Unfold, _unfold)
register_bound(nn.Fold, _fold)
