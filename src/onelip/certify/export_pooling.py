"""What each pooling layer computes: the windows of each axis as ranges of pixels, cut at the borders of the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from onelip import layers
from onelip.bounds.network import NodeFacts
from onelip.bounds.pooling_functions import (
    ADAPTIVE,
    ADAPTIVE_LARGEST,
    AVERAGES,
    LARGEST,
    POWERS,
    avg_options_of_call,
    max_options_of_call,
    power_options_of_call,
)
from onelip.bounds.pooling_rules import (
    adaptive_sizes,
    avg_pool_matrices,
    avg_pool_options,
    max_pool_options,
    max_pool_windows,
    power_pool_bound,
    power_pool_scales,
    spatial,
    window_matrix,
)
from onelip.bounds.registry import Call
from onelip.bounds.windows import adaptive_matrix, adaptive_ranges, pair
from onelip.certify.export_arithmetic import matrices
from onelip.certify.export_functions import register_function
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


def _norms(
    rows: list[tuple[int, int]], columns: list[tuple[int, int]], scales: tuple[list[float], list[float]]
) -> Operation:
    # The norm of every row window times column window, times the factors of both.
    attributes = {
        "rows": [list(r) for r in rows],
        "columns": [list(c) for c in columns],
        "row_scales": scales[0],
        "column_scales": scales[1],
    }
    return Operation("window_norm", attributes)


def _sums(ranges: list[list[tuple[int, int]]], scales: list[list[float]], before: Shape) -> Operation:
    windows = [[range(*pixels) for pixels in axis] for axis in ranges]
    axes = range(len(before) - len(ranges), len(before))
    sizes = before[-len(ranges) :]
    return matrices(dict(zip(axes, map(window_matrix, windows, scales, sizes), strict=True)))


def _sliding(m: Any, before: Shape, after: Shape) -> list[list[tuple[int, int]]]:
    kernel, padding = pair(m.kernel_size), pair(m.padding)
    stride = kernel if not m.stride else pair(m.stride)
    axes = zip(before[-2:], kernel, stride, padding, after[-2:], strict=True)
    return [sliding_ranges(*axis) for axis in axes]


def _scaled_avg_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    rows, columns = _sliding(m, before, after)
    return _sums([rows, columns], [[m.factor] * len(rows), [1.0] * len(columns)], before)


def _l2_norm_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    rows, columns = _sliding(m, before, after)
    return _norms(rows, columns, ([m.factor] * len(rows), [1.0] * len(columns)))


def averages(sizes: Shape, rank: int, options: tuple[Any, ...]) -> Operation:
    """Describe average pooling over the last axes.

    Args:
        sizes: Pixels of each.
        rank: Axes of a sample.
        options: As `avg_pool_matrices` takes them.

    Returns:
        The operation.
    """
    return matrices(dict(enumerate(avg_pool_matrices(sizes, *options), rank - len(sizes))))


def _max_windows(windows: list[list[list[int]]], rank: int) -> Operation:
    axes = list(range(rank - len(windows), rank))
    return Operation("max_windows", {"axes": axes, "windows": windows})


def _powers(sizes: Shape, before: Shape, after: Shape, options: tuple[Any, ...]) -> Operation:
    power, *others = options
    windows, scales = power_pool_scales(sizes, power, *others)
    if power == 1:
        axes = range(len(before) - len(sizes), len(before))
        return matrices(dict(zip(axes, map(window_matrix, windows, scales, sizes), strict=True)))
    if power != 2 or len(sizes) > 2:
        raise ValueError(f"norm_type={power:g} over {len(sizes)} axes cannot be certified; use 1, or 2 over one or two")
    # A line is an image of height 1.
    lines = [[[0]], *windows][-2:], [[1.0], *scales][-2:]
    rows, columns = ([(w[0], w[-1] + 1) for w in axis] for axis in lines[0])
    pool = _norms(rows, columns, (lines[1][0], lines[1][1]))
    if len(sizes) == 2:
        return pool
    image = Operation("reshape", {"shape": [*before[:-1], 1, before[-1]]}, sources=(0,), constant=1.0)
    own = power_pool_bound(sizes, power, *others).value
    return Operation(
        "reshape", {"shape": list(after)}, sources=(replace(pool.after(image), constant=own),), constant=1.0
    )


def _adaptive_averages(sizes: Shape, rank: int, output_size: Any) -> Operation:
    wanted = adaptive_sizes(sizes, output_size)
    return matrices(dict(enumerate(map(adaptive_matrix, sizes, wanted), rank - len(sizes))))


def _adaptive_largest(sizes: Shape, rank: int, output_size: Any) -> Operation:
    wanted = adaptive_sizes(sizes, output_size)
    ranges = [adaptive_ranges(*axis) for axis in zip(sizes, wanted, strict=True)]
    return _max_windows([[list(range(*pixels)) for pixels in axis] for axis in ranges], rank)


def _adaptive_scaled_avg_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    axes = list(zip(before[-2:], after[-2:], strict=True))
    ranges = [adaptive_ranges(*axis) for axis in axes]
    scales = [adaptive_sum_scales(*axis) for axis in axes]
    return _sums(ranges, scales, before)


def _adaptive_l2_norm_pool2d(m: Any, before: Shape, after: Shape) -> Operation:
    axes = list(zip(before[-2:], after[-2:], strict=True))
    ranges = [adaptive_ranges(*axis) for axis in axes]
    scales = [[adaptive_multiplicity(*axis) ** -0.5] * axis[1] for axis in axes]
    return _norms(ranges[0], ranges[1], (scales[0], scales[1]))


def _power_options(m: Any) -> tuple[Any, ...]:
    return float(m.norm_type), m.kernel_size, m.stride, m.ceil_mode


def _register_modules() -> None:
    register_exporter(
        lambda m, before, after: averages(spatial(m, before), len(before), avg_pool_options(m)),
        nn.AvgPool1d,
        nn.AvgPool2d,
        nn.AvgPool3d,
    )
    register_exporter(
        lambda m, before, after: _max_windows(max_pool_windows(spatial(m, before), *max_pool_options(m)), len(before)),
        nn.MaxPool1d,
        nn.MaxPool2d,
        nn.MaxPool3d,
    )
    register_exporter(
        lambda m, before, after: _powers(spatial(m, before), before, after, _power_options(m)),
        nn.LPPool1d,
        nn.LPPool2d,
        nn.LPPool3d,
    )
    register_exporter(
        lambda m, before, after: _adaptive_averages(spatial(m, before), len(before), m.output_size),
        nn.AdaptiveAvgPool1d,
        nn.AdaptiveAvgPool2d,
        nn.AdaptiveAvgPool3d,
    )
    register_exporter(
        lambda m, before, after: _adaptive_largest(spatial(m, before), len(before), m.output_size),
        nn.AdaptiveMaxPool1d,
        nn.AdaptiveMaxPool2d,
        nn.AdaptiveMaxPool3d,
    )


def _register_functions(n: int) -> None:
    def enter(export: Callable[[Call, Shape, Shape, Shape], Operation], *targets: Any) -> None:
        def rule(call: Call, facts: NodeFacts) -> Operation:
            return export(call, facts.input_shape[-n:], facts.input_shape, facts.output_shape)

        register_function(rule, *targets)

    enter(lambda c, s, before, after: averages(s, len(before), avg_options_of_call(c)), *AVERAGES[n])
    enter(lambda c, s, before, after: _powers(s, before, after, power_options_of_call(c)), POWERS[n])
    enter(
        lambda c, s, before, after: _max_windows(max_pool_windows(s, *max_options_of_call(c)), len(before)),
        *LARGEST[n],
    )
    enter(lambda c, s, before, after: _adaptive_averages(s, len(before), c.argument(1, "output_size")), *ADAPTIVE[n])
    enter(
        lambda c, s, before, after: _adaptive_largest(s, len(before), c.argument(1, "output_size")),
        *ADAPTIVE_LARGEST[n],
    )


_register_modules()
for _n in (1, 2, 3):
    _register_functions(_n)
register_exporter(_scaled_avg_pool2d, layers.ScaledAvgPool2d)
register_exporter(_l2_norm_pool2d, layers.L2NormPool2d)
register_exporter(_adaptive_scaled_avg_pool2d, layers.AdaptiveScaledAvgPool2d)
register_exporter(_adaptive_l2_norm_pool2d, layers.AdaptiveL2NormPool2d)
