"""Constants of torch's pooling, padding and folding functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.bounds.pooling_rules import (
    Sizes,
    adaptive_avg_bound,
    adaptive_max_bound,
    avg_pool_bound,
    max_pool_bound,
    pad_bound,
    power_pool_bound,
)
from onelip.bounds.registry import Call, Refused, register_calls
from onelip.bounds.windows import repeats_bound, unfold_repeats
from onelip.linalg import Bound


def _sizes(value: Tensor, n_axes: int) -> Sizes:
    return tuple(value.shape[-n_axes:])


_AVG = (("stride", None), ("padding", 0), ("ceil_mode", False), ("count_include_pad", True), ("divisor_override", None))
_UNFOLD = (("kernel_size", None), ("dilation", 1), ("padding", 0), ("stride", 1))
_MAX = (("stride", None), ("padding", 0), ("dilation", 1), ("ceil_mode", False))


def avg_options_of_call(call: Call) -> tuple[Any, ...]:
    """Collect the options of a call of average pooling.

    Args:
        call: The call.

    Returns:
        Them as `avg_pool_matrices` takes them.
    """
    return call.argument(1, "kernel_size"), *(call.argument(i + 2, *pair) for i, pair in enumerate(_AVG))


def max_options_of_call(call: Call) -> tuple[Any, ...]:
    """Collect the options of a call of max pooling.

    Args:
        call: The call.

    Returns:
        Them as `max_pool_windows` takes them.
    """
    return call.argument(1, "kernel_size"), *(call.argument(i + 2, *pair) for i, pair in enumerate(_MAX))


def power_options_of_call(call: Call) -> tuple[Any, ...]:
    """Collect the options of a call of power-average pooling.

    Args:
        call: The call.

    Returns:
        Power, window size, stride and ceil mode.
    """
    stride, ceil_mode = call.argument(3, "stride"), call.argument(4, "ceil_mode", False)
    return float(call.argument(1, "norm_type")), call.argument(2, "kernel_size"), stride, ceil_mode


def _register_calls(n_axes: int, average: Any, largest: Any, power: Any, adaptive: Any, adaptive_max: Any) -> None:
    def enter(own: Callable[[Call, Sizes], Bound], *targets: Any) -> None:
        def rule(call: Call) -> Bound:
            value, before = call.only_signal()
            if not isinstance(call.result, Tensor):
                raise Refused("return_indices=True returns positions, which are not continuous")
            return before.then(own(call, _sizes(value, n_axes)))

        register_calls(rule, *targets)

    enter(lambda c, s: avg_pool_bound(s, *avg_options_of_call(c)), *average)
    enter(lambda c, s: max_pool_bound(s, *max_options_of_call(c)), *largest)
    enter(lambda c, s: power_pool_bound(s, *power_options_of_call(c)), power)
    enter(lambda c, s: adaptive_avg_bound(s, c.argument(1, "output_size")), *adaptive)
    enter(lambda c, s: adaptive_max_bound(s, c.argument(1, "output_size")), *adaptive_max)


def _pad(call: Call) -> Bound:
    value, before = call.only_signal()
    pads = tuple(call.argument(1, "pad"))
    if len(pads) > 2 * (value.dim() - 1):
        raise Refused("it pads the axis of the samples of a batch")
    return before.then(pad_bound(tuple(value.shape[1:]), pads, call.argument(2, "mode", "constant")))


def _unfold(call: Call) -> Bound:
    value, before = call.only_signal()
    options = [call.argument(i + 1, *pair) for i, pair in enumerate(_UNFOLD)]
    return before.then(repeats_bound([unfold_repeats(value.shape[-2:], *options)], "pixel copies"))


def fold_options_of_call(call: Call) -> tuple[Any, ...]:
    """Collect the options of a call of folding.

    Args:
        call: The call.

    Returns:
        Window size, dilation, padding and stride.
    """
    return tuple(call.argument(i + 2, *pair) for i, pair in enumerate(_UNFOLD))


def _fold(call: Call) -> Bound:
    before = call.only_signal()[1]
    return before.then(repeats_bound([unfold_repeats(call.result.shape[-2:], *fold_options_of_call(call))], "sums"))


AVERAGES = {1: (F.avg_pool1d, torch.avg_pool1d), 2: (F.avg_pool2d,), 3: (F.avg_pool3d,)}
"""Functions that average windows, by the number of axes; and so on."""

LARGEST = {
    1: (F.max_pool1d, torch.max_pool1d),
    2: (F.max_pool2d, torch.max_pool2d),
    3: (F.max_pool3d, torch.max_pool3d),
}
POWERS = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
ADAPTIVE = {
    1: (F.adaptive_avg_pool1d, torch.adaptive_avg_pool1d),
    2: (F.adaptive_avg_pool2d,),
    3: (F.adaptive_avg_pool3d,),
}
ADAPTIVE_LARGEST = {1: (F.adaptive_max_pool1d,), 2: (F.adaptive_max_pool2d,), 3: (F.adaptive_max_pool3d,)}

for _n in (1, 2, 3):
    _register_calls(_n, AVERAGES[_n], LARGEST[_n], POWERS[_n], ADAPTIVE[_n], ADAPTIVE_LARGEST[_n])
register_calls(_pad, F.pad)
register_calls(_unfold, F.unfold)
register_calls(_fold, F.fold)
