"""What each pooling layer computes: the windows of each axis as ranges of pixels, cut at the borders of the image."""

from __future__ import annotations

from typing import Any

from torch import nn

from onelip import layers
from onelip.bounds.pooling_rules import adaptive_sizes
from onelip.bounds.windows import adaptive_ranges, pair
from onelip.certify.export_modules import Operation, Shape, register_exporter
from onelip.layers.windows import adaptive_multiplicity, adaptive_sum_scales


def sliding_ranges(size: int, kernel: int, stride: int, padding: int, count: int) -> list[tuple[int, int]]:
    """Pixels of each window of fixed size.

    Args:
        size: Pixels of the line.
        kernel: Window size.
        stride: Distance between windows.
        padding: Pixels in front of the line that windows may cover.
        count: Number of windows.

    Returns:
        (start, end) of each, cut at the ends of the line.
    """
    starts = [i * stride - padding for i in range(count)]
    return [(max(0, s), max(0, min(size, s + kernel))) for s in starts]


def window_operation(
    op: str, rows: list[tuple[int, int]], columns: list[tuple[int, int]], scales: tuple[list[float], list[float]]
) -> Operation:
    """Describe pooling over the products of row windows and column windows.

    Args:
        op: "window_sum", "window_norm" or "window_max".
        rows: (start, end) of each window along the height.
        columns: (start, end) of each window along the width.
        scales: Factor of each row window and of each column window.

    Returns:
        The operation; what it takes of a window is multiplied by both factors.
    """
    attributes = {
        "rows": [list(r) for r in rows],
        "columns": [list(c) for c in columns],
        "row_scales": scales[0],
        "column_scales": scales[1],
    }
    return Operation(op, attributes)


def _sliding(m: Any, before: Shape, after: Shape) -> list[list[tuple[int, int]]]:
    kernel, padding = pair(m.kernel_size), pair(m.padding)
    stride = kernel if not m.stride else pair(m.stride)
    axes = zip(before[-2:], kernel, stride, padding, after[-2:], strict=True)
    return [sliding_ranges(*axis) for axis in axes]


def _avg_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    kernel, padding = pair(m.kernel_size), pair(m.padding)
    stride = kernel if not m.stride else pair(m.stride)
    rows, columns = _sliding(m, before, after)
    if m.divisor_override is not None:
        scales = [1 / m.divisor_override] * len(rows), [1.0] * len(columns)
        return window_operation("window_sum", rows, columns, scales)
    divisors = []
    for size, k, s, p, ranges in zip(before[-2:], kernel, stride, padding, (rows, columns), strict=True):
        whole = [min(i * s - p + k, size + p) - (i * s - p) for i in range(len(ranges))]
        divisors.append(whole if m.count_include_pad else [end - start for start, end in ranges])
    return window_operation("window_sum", rows, columns, ([1 / n for n in divisors[0]], [1 / n for n in divisors[1]]))


def _scaled_avg_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    rows, columns = _sliding(m, before, after)
    return window_operation("window_sum", rows, columns, ([m.factor] * len(rows), [1.0] * len(columns)))


def _l2_norm_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    rows, columns = _sliding(m, before, after)
    return window_operation("window_norm", rows, columns, ([m.factor] * len(rows), [1.0] * len(columns)))


def _max_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    if pair(m.dilation) != (1, 1) or m.return_indices:
        raise ValueError(f"dilation={m.dilation} in MaxPool2d cannot be certified; use dilation 1 without indices")
    rows, columns = _sliding(m, before, after)
    return window_operation("window_max", rows, columns, ([1.0] * len(rows), [1.0] * len(columns)))


def adaptive_operation(op: str, before: Shape, output_size: Any) -> Operation:
    """Describe torch's adaptive average or max pooling.

    Args:
        op: "window_sum" for the average, or "window_max".
        before: Shape of one input sample.
        output_size: As torch takes it.

    Returns:
        The operation.
    """
    sizes = (before[-2], before[-1])
    ranges = [adaptive_ranges(*axis) for axis in zip(sizes, adaptive_sizes(sizes, output_size), strict=True)]
    average = op == "window_sum"
    scales = [[1 / (end - start) if average else 1.0 for start, end in axis] for axis in ranges]
    return window_operation(op, ranges[0], ranges[1], (scales[0], scales[1]))


def _adaptive_avg_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    return adaptive_operation("window_sum", before, m.output_size)


def _adaptive_max_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    return adaptive_operation("window_max", before, m.output_size)


def _adaptive_scaled_avg_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    axes = list(zip(before[-2:], after[-2:], strict=True))
    ranges = [adaptive_ranges(*axis) for axis in axes]
    scales = [adaptive_sum_scales(*axis) for axis in axes]
    return window_operation("window_sum", ranges[0], ranges[1], (scales[0], scales[1]))


def _adaptive_l2_norm_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    axes = list(zip(before[-2:], after[-2:], strict=True))
    ranges = [adaptive_ranges(*axis) for axis in axes]
    scales = [[adaptive_multiplicity(*axis) ** -0.5] * axis[1] for axis in axes]
    return window_operation("window_norm", ranges[0], ranges[1], (scales[0], scales[1]))


register_exporter(_avg_pool2d, nn.AvgPool2d)
register_exporter(_scaled_avg_pool2d, layers.ScaledAvgPool2d)
register_exporter(_l2_norm_pool2d, layers.L2NormPool2d)
register_exporter(_max_pool2d, nn.MaxPool2d)
register_exporter(_adaptive_avg_pool2d, nn.AdaptiveAvgPool2d)
register_exporter(_adaptive_max_pool2d, nn.AdaptiveMaxPool2d)
register_exporter(_adaptive_scaled_avg_pool2d, layers.AdaptiveScaledAvgPool2d)
register_exporter(_adaptive_l2_norm_pool2d, layers.AdaptiveL2NormPool2d)
