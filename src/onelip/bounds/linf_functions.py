"""Constants, in the maximum norm, of the functions, operators and tensor methods that a model's forward may call."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.bounds.convolution_rules import (
    CONVOLUTIONS,
    TRANSPOSED,
    call_convolution,
    call_transposed,
    stored_weight,
)
from onelip.bounds.function_rules import ALONG, UNCHANGED
from onelip.bounds.linf_modules import (
    convolution_linf_bound,
    linear_linf_bound,
    log_softmax_linf_constant,
    power_pool_linf_bound,
    resize_linf_bound,
    row_sum_bound,
    separable_linf_bound,
    transposed_linf_bound,
)
from onelip.bounds.pooling_functions import (
    ADAPTIVE,
    ADAPTIVE_LARGEST,
    AVERAGES,
    LARGEST,
    POWERS,
    avg_options_of_call,
    fold_options_of_call,
    power_options_of_call,
)
from onelip.bounds.pooling_rules import avg_pool_matrices
from onelip.bounds.registry import Call, Operand, Refused, call_rule, known, largest, register_calls
from onelip.bounds.resize_rules import resize_of_call
from onelip.bounds.windows import unfold_repeats
from onelip.linalg import UNIT_ROUNDOFF, Bound, divide_up


def _scaled(own: Callable[[Call, Tensor], Bound]) -> Callable[[Call], Bound]:
    # A map of one signal: its own constant after the signal's.
    def rule(call: Call) -> Bound:
        value, before = call.only_signal()
        return before.then(own(call, value))

    return rule


def _bounds(call: Call) -> list[Bound]:
    return [signal.bound for signal in call.signals() if signal.bound is not None]


def _sum(call: Call) -> Bound:
    # Broadcasting copies entries, which the maximum norm does not see. It is the second summand that alpha multiplies.
    alpha = abs(float(call.kwargs.get("alpha", 1)))
    second = call.args[1] if len(call.args) > 1 else call.kwargs.get("other")
    parts = _bounds(call)
    if alpha != 1 and call.signals()[-1] is second:
        parts[-1] = parts[-1].then(known(alpha, "alpha"))
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return total


def _largest(call: Call) -> Bound:
    parts = _bounds(call)
    return Bound(max(part.value for part in parts), all(part.proved for part in parts), "largest part")


def _concatenation(call: Call) -> Bound:
    if call.argument(1, "dim", 0) == 0:
        raise Refused("concatenating along axis 0 mixes the samples of a batch")
    return _largest(call)


def _other(call: Call, value: Tensor) -> Tensor:
    first, second, *_ = (*call.args, *call.kwargs.values())
    other = second if isinstance(first, Operand) and first.value is value else first
    return torch.as_tensor(other.value if isinstance(other, Operand) else other)


def _product(call: Call, value: Tensor) -> Bound:
    return known(largest(_other(call, value)), "factor")


def _quotient(call: Call, value: Tensor) -> Bound:
    if call.kwargs.get("rounding_mode") is not None:
        raise Refused("rounding is not continuous")
    first = (*call.args, *call.kwargs.values())[0]
    if not (isinstance(first, Operand) and first.value is value):
        raise Refused("dividing by a signal has unbounded derivatives")
    numbers = _other(call, value)
    largest(numbers)
    smallest = float(numbers.detach().to(torch.float64).abs().min())
    if smallest == 0:
        raise Refused("it divides by zero")
    return known(divide_up(1.0, smallest), "divisor")


def _matrix_product(call: Call, value: Tensor) -> Bound:
    left, right = (a.value for a in call.args[:2])
    matrix = right if left is value else left
    if matrix.dim() != 2:
        raise Refused("only products with one stored matrix are bounded")
    return row_sum_bound(matrix, lambda w: w.sum(0 if left is value else 1))


def _average(call: Call, value: Tensor) -> Bound:
    return known(1 + 64 * UNIT_ROUNDOFF, "window sums")


def _resized(call: Call, value: Tensor) -> Bound:
    return resize_linf_bound(resize_of_call(call), tuple(value.shape[2:]))


def _folded(call: Call, value: Tensor) -> Bound:
    return known(float(unfold_repeats(call.result.shape[-2:], *fold_options_of_call(call))), "sums")


def _batch_kept(call: Call, value: Tensor) -> None:
    dims = call.argument(1, "dim")
    axes = range(value.dim()) if dims is None else [dims] if isinstance(dims, int) else dims
    if any(axis % value.dim() == 0 for axis in axes):
        raise Refused("reducing along axis 0 mixes the samples of a batch")


def _mean(call: Call, value: Tensor) -> Bound:
    _batch_kept(call, value)
    return known(1.0, "mean")


def _total(call: Call, value: Tensor) -> Bound:
    _batch_kept(call, value)
    return known(float(max(1, value.numel() // max(1, call.result.numel()))), "sum")


def _log_softmax(call: Call, value: Tensor) -> Bound:
    return log_softmax_linf_constant(value.shape[call.argument(1, "dim")])


def _unlike(target: Any, own: Callable[[Call, Tensor], Bound]) -> Callable[[Call], Bound]:
    # What is refused in l2 is refused here, with the same words.
    in_l2 = call_rule(target)

    def rule(call: Call) -> Bound:
        if in_l2 is not None:
            in_l2(call)
        return _scaled(own)(call)

    return rule


def _compared(target: Any) -> Callable[[Call], Bound]:
    # Of several values, or along axes of one.
    alone = call_rule(target)

    def rule(call: Call) -> Bound:
        several = len(call.signals()) > 1 or isinstance(call.argument(1, "dim", call.argument(1, "other")), Tensor)
        return _largest(call) if several or alone is None else alone(call)

    return rule


_ENTRYWISE: tuple[Any, ...] = (
    torch.sigmoid, F.sigmoid, "sigmoid", "sigmoid_", F.silu, F.mish, F.selu, torch.selu, torch.softmax, F.softmax,
    "softmax", F.softmin, F.hardswish, F.hardsigmoid, F.gelu, F.elu, F.celu, torch.celu, F.leaky_relu, F.prelu,
    torch.prelu, F.softplus, F.softshrink, F.threshold, F.dropout, F.dropout1d, F.dropout2d, F.dropout3d,
    F.alpha_dropout, F.batch_norm, torch.roll, "roll", torch.sort, "sort", operator.getitem, getattr,
)  # fmt: skip
"""Their l2 constant is that of each entry by itself (for softmax, of the absolute row sums), or 1 for copies."""


def _register_alike() -> None:
    for target in (*UNCHANGED, *_ENTRYWISE):
        rule = call_rule(target)
        if rule is not None:
            register_calls(rule, target, norm="linf")
    for target in ALONG:
        register_calls(_compared(target), target, norm="linf")
    for target in (F.pad, F.unfold, *_all(LARGEST), *_all(ADAPTIVE_LARGEST), "expand", "repeat", "expand_as"):
        register_calls(_unlike(target, lambda c, v: known(1.0, "exact")), target, norm="linf")
    for target in (F.log_softmax, torch.log_softmax, "log_softmax"):
        register_calls(_unlike(target, _log_softmax), target, norm="linf")


def _all(by_axes: dict[int, tuple[Any, ...]]) -> list[Any]:
    return [target for targets in by_axes.values() for target in targets]


def _register_pools(n_axes: int) -> None:
    def average(call: Call, value: Tensor) -> Bound:
        return separable_linf_bound(*avg_pool_matrices(tuple(value.shape[-n_axes:]), *avg_options_of_call(call)))

    def power(call: Call, value: Tensor) -> Bound:
        return power_pool_linf_bound(tuple(value.shape[-n_axes:]), *power_options_of_call(call))

    register_calls(_scaled(average), *AVERAGES[n_axes], norm="linf")
    register_calls(_scaled(power), POWERS[n_axes], norm="linf")


def _register() -> None:
    sums = (
        operator.add, operator.iadd, torch.add, "add", "add_", operator.sub, operator.isub, torch.sub, torch.subtract,
        "sub", "sub_", "subtract",
    )  # fmt: skip
    products = (operator.mul, operator.imul, torch.mul, "mul", "mul_", torch.multiply, "multiply")
    quotients = (
        operator.truediv, operator.itruediv, torch.div, "div", "div_", torch.divide, torch.true_divide, "divide",
        "true_divide",
    )  # fmt: skip
    register_calls(_sum, *sums, norm="linf")
    register_calls(_scaled(_product), *products, norm="linf")
    register_calls(_scaled(_quotient), *quotients, norm="linf")
    register_calls(_scaled(_matrix_product), operator.matmul, torch.matmul, "matmul", torch.mm, "mm", norm="linf")
    register_calls(_concatenation, torch.cat, torch.concat, torch.concatenate, torch.stack, norm="linf")
    register_calls(_largest, torch.maximum, torch.minimum, "maximum", "minimum", norm="linf")
    register_calls(_scaled(lambda c, _: linear_linf_bound(stored_weight(c))), F.linear, norm="linf")
    register_calls(_scaled(lambda c, _: convolution_linf_bound(call_convolution(c))), *CONVOLUTIONS, norm="linf")
    register_calls(_scaled(lambda c, _: transposed_linf_bound(call_transposed(c))), *TRANSPOSED, norm="linf")
    register_calls(_scaled(_average), *_all(ADAPTIVE), norm="linf")
    register_calls(_scaled(_resized), F.interpolate, norm="linf")
    register_calls(_scaled(_folded), F.fold, norm="linf")
    register_calls(_scaled(_mean), torch.mean, "mean", norm="linf")
    register_calls(_scaled(_total), torch.sum, "sum", norm="linf")


_register_alike()
for _n in (1, 2, 3):
    _register_pools(_n)
_register()
