"""Constants of torch's pooling, padding and upsampling modules, from the windows at the given image size."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from onelip.bounds.registry import Refused, register_bound, register_modules
from onelip.bounds.windows import (
    adaptive_matrix,
    adaptive_repeats,
    max_repeats,
    padding_repeats,
    pair,
    repeats_bound,
    separable_bound,
    sliding_matrix,
)
from onelip.linalg import EXACT_ONE, Bound, divide_up


def avg_pool_bound(
    sizes: tuple[int, int],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Bound:
    """Bound 2-D average pooling at one image size: the norms of its two window matrices.

    Args:
        sizes: Height and width of the input.
        kernel_size: As in `nn.AvgPool2d`, and so on.
        stride: Distance between windows; None for the window size.
        padding: Zeros on either side.
        ceil_mode: Use windows that reach beyond the image?
        count_include_pad: Count padded zeros in the divisor?
        divisor_override: Divide by this number instead.

    Returns:
        The proved bound.
    """
    kernel = pair(kernel_size)
    step = kernel if not stride else pair(stride)
    pads = pair(padding)
    probe = F.avg_pool2d(torch.zeros(1, 1, *sizes), kernel, step, pads, ceil_mode)
    counts = probe.shape[-2:]
    matrices = [
        sliding_matrix(*axis, include_pad=count_include_pad)
        for axis in zip(sizes, kernel, step, pads, counts, strict=True)
    ]
    if divisor_override is None:
        return separable_bound(matrices[0], matrices[1])
    sums = [(matrix > 0).to(torch.float64) for matrix in matrices]
    return separable_bound(sums[0], sums[1], divide_up(1.0, abs(float(divisor_override))))


def max_pool_bound(kernel_size: Any, stride: Any = None, dilation: Any = 1) -> Bound:
    """Bound 2-D max pooling: the root of the number of windows that can share a pixel.

    Args:
        kernel_size: As in `nn.MaxPool2d`, and so on.
        stride: Distance between windows; None for the window size.
        dilation: Distance between the pixels of a window.

    Returns:
        The proved bound, for every image size; 1 if windows do not overlap.
    """
    kernel = pair(kernel_size)
    step = kernel if not stride else pair(stride)
    return repeats_bound(list(map(max_repeats, kernel, step, pair(dilation))), "window overlap")


def adaptive_sizes(sizes: tuple[int, int], output_size: Any) -> tuple[int, int]:
    """Complete the output size of adaptive pooling.

    Args:
        sizes: Height and width of the input.
        output_size: An int, or two of int or None.

    Returns:
        Height and width of the output.
    """
    both = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    height, width = (size if wanted is None else wanted for size, wanted in zip(sizes, both, strict=True))
    return int(height), int(width)


def adaptive_avg_bound(sizes: tuple[int, int], output_size: Any) -> Bound:
    """Bound 2-D adaptive average pooling at one image size.

    Args:
        sizes: Height and width of the input.
        output_size: As in `nn.AdaptiveAvgPool2d`.

    Returns:
        The proved bound.
    """
    height, width = map(adaptive_matrix, sizes, adaptive_sizes(sizes, output_size))
    return separable_bound(height, width)


def adaptive_max_bound(sizes: tuple[int, int], output_size: Any) -> Bound:
    """Bound 2-D adaptive max pooling at one image size.

    Args:
        sizes: Height and width of the input.
        output_size: As in `nn.AdaptiveMaxPool2d`.

    Returns:
        The proved bound.
    """
    counts = map(adaptive_repeats, sizes, adaptive_sizes(sizes, output_size))
    return repeats_bound(list(counts), "window overlap")


def pad_bound(sizes: tuple[int, ...], pads: tuple[int, ...], mode: str) -> Bound:
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


def nearest_bound(sizes: tuple[int, ...], outputs: tuple[int, ...]) -> Bound:
    """Bound nearest-neighbour resizing: the root of the number of copies of a pixel.

    Args:
        sizes: Spatial axes of the input.
        outputs: Spatial axes of the output.

    Returns:
        The proved bound. Torch rounds source positions in a way that may move a copy, so one more is counted unless
        the size is a multiple.
    """
    counts = [o // n if o % n == 0 else -(-o // n) + 1 for n, o in zip(sizes, outputs, strict=True)]
    return repeats_bound(counts, "pixel copies")


def _avg_pool(m: Any, shape: tuple[int, ...]) -> Bound:
    sizes = (shape[-2], shape[-1])
    options = (m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override)
    return avg_pool_bound(sizes, m.kernel_size, m.stride, *options)


def _upsample(m: Any, shape: tuple[int, ...]) -> Bound:
    if m.mode != "nearest":
        raise Refused(f"mode={m.mode!r} is not bounded here, only mode='nearest' is")
    probe = m(torch.zeros(1, *shape))
    return nearest_bound(shape[1:], tuple(probe.shape[2:]))


def _padding(mode: str) -> Any:
    def rule(module: Any, shape: tuple[int, ...]) -> Bound:
        return pad_bound(shape[1:], tuple(module.padding), mode)

    return rule


register_bound(nn.AvgPool2d, _avg_pool)
register_bound(nn.MaxPool2d, lambda m, _: max_pool_bound(m.kernel_size, m.stride, m.dilation))
register_bound(nn.AdaptiveAvgPool2d, lambda m, s: adaptive_avg_bound((s[-2], s[-1]), m.output_size))
register_bound(nn.AdaptiveMaxPool2d, lambda m, s: adaptive_max_bound((s[-2], s[-1]), m.output_size))
register_modules(_upsample, nn.Upsample, nn.UpsamplingNearest2d)
register_modules(lambda m, s: EXACT_ONE, nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d)
register_modules(_padding("reflect"), nn.ReflectionPad1d, nn.ReflectionPad2d)
register_modules(_padding("replicate"), nn.ReplicationPad1d, nn.ReplicationPad2d)
register_modules(_padding("circular"), nn.CircularPad1d, nn.CircularPad2d)
