"""Constants, in the maximum norm, of the functions, operators and tensor methods that a model's forward may call."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.bounds.function_rules import UNCHANGED
from onelip.bounds.linf_modules import conv_linf_bound, linear_linf_bound, row_sum_bound
from onelip.bounds.registry import Call, Operand, Refused, call_rule, known, largest, plain, register_calls
from onelip.bounds.windows import pair
from onelip.linalg import UNIT_ROUNDOFF, Bound, divide_up, multiply_up


def _scaled(own: Callable[[Call, Tensor], Bound]) -> Callable[[Call], Bound]:
    # A map of one signal: its own constant after the signal's.
    def rule(call: Call) -> Bound:
        value, before = call.only_signal()
        return before.then(own(call, value))

    return rule


def _bounds(call: Call) -> list[Bound]:
    return [signal.bound for signal in call.signals() if signal.bound is not None]


def _sum(call: Call) -> Bound:
    # Broadcasting copies entries, which the maximum norm does not see. Which summand alpha multiplies does not matter
    # if each is counted with the larger factor.
    factor = known(max(1.0, abs(float(call.kwargs.get("alpha", 1)))), "alpha")
    first, *others = _bounds(call)
    total = first.then(factor)
    for part in others:
        total = total.plus(part.then(factor))
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


def _weight(call: Call) -> Tensor:
    if call.only_signal()[0] is not plain(call.args[0]):
        raise Refused("only its input may depend on the input of the network")
    weight: Tensor = call.argument(1, "weight")
    return weight


def _conv2d(call: Call, value: Tensor) -> Bound:
    padding = call.argument(4, "padding", 0)
    if isinstance(padding, str):
        raise Refused("padding as a word is bounded in nn.Conv2d only")
    return conv_linf_bound(
        _weight(call),
        tuple(value.shape[2:]),
        stride=pair(call.argument(3, "stride", 1)),
        dilation=pair(call.argument(5, "dilation", 1)),
        pads=tuple((p, p) for p in pair(padding)),
    )


def _avg_pool(call: Call, value: Tensor) -> Bound:
    # Pooled ones are the row sums; 64 units cover the rounding.
    arguments = plain(call.args[1:]), {k: plain(v) for k, v in call.kwargs.items() if k != "input"}
    ones = torch.ones(1, *value.shape[1:], dtype=torch.float64)
    top = float(F.avg_pool2d(ones, *arguments[0], **arguments[1]).max())
    return Bound(multiply_up(top, 1 + 64 * UNIT_ROUNDOFF), True, "window sums")


def _average(call: Call, value: Tensor) -> Bound:
    return known(1 + 64 * UNIT_ROUNDOFF, "window sums")


def _one(call: Call, value: Tensor) -> Bound:
    return known(1.0, "exact")


def _interpolate(call: Call, value: Tensor) -> Bound:
    if call.argument(3, "mode", "nearest") != "nearest":
        raise Refused("only mode='nearest' is bounded")
    return known(1.0, "exact")


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


_ENTRYWISE: tuple[Any, ...] = (
    torch.sigmoid, F.sigmoid, "sigmoid", F.silu, F.mish, F.selu, torch.selu, torch.softmax, F.softmax, "softmax",
    F.softmin, F.hardswish, F.hardsigmoid, F.gelu, F.elu, F.leaky_relu, F.dropout, F.dropout2d, F.alpha_dropout,
    F.batch_norm, operator.getitem,
)  # fmt: skip
"""Their l2 constant is that of each entry by itself (for softmax, of the absolute row sums), or 1 for copies."""


def _register() -> None:
    for target in (*UNCHANGED, *_ENTRYWISE):
        rule = call_rule(target)
        if rule is not None:
            register_calls(rule, target, norm="linf")
    sums = (operator.add, operator.iadd, torch.add, "add", "add_", operator.sub, torch.sub, "sub", "sub_")
    products = (operator.mul, operator.imul, torch.mul, "mul", "mul_", torch.multiply, "multiply")
    quotients = (operator.truediv, torch.div, "div", "div_", torch.divide, torch.true_divide)
    copies = (
        F.pad, F.max_pool2d, torch.max_pool2d, F.adaptive_max_pool2d, "expand", "repeat",
        "expand_as",
    )  # fmt: skip
    register_calls(_sum, *sums, norm="linf")
    register_calls(_scaled(_product), *products, norm="linf")
    register_calls(_scaled(_quotient), *quotients, norm="linf")
    register_calls(_scaled(_matrix_product), operator.matmul, torch.matmul, "matmul", torch.mm, "mm", norm="linf")
    register_calls(_concatenation, torch.cat, torch.concat, torch.stack, norm="linf")
    register_calls(_largest, torch.maximum, torch.minimum, "maximum", "minimum", norm="linf")
    register_calls(_scaled(lambda c, _: linear_linf_bound(_weight(c))), F.linear, norm="linf")
    register_calls(_scaled(_conv2d), F.conv2d, torch.conv2d, norm="linf")
    register_calls(_scaled(_avg_pool), F.avg_pool2d, norm="linf")
    register_calls(_scaled(_average), F.adaptive_avg_pool2d, norm="linf")
    register_calls(_scaled(_interpolate), F.interpolate, norm="linf")
    register_calls(_scaled(_mean), torch.mean, "mean", norm="linf")
    register_calls(_scaled(_total), torch.sum, "sum", norm="linf")
    register_calls(_scaled(_one), *copies, norm="linf")


_register()
