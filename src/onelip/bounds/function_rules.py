"""Constants of the functions, operators and tensor methods that a model's forward may call."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.bounds import activation_rules as activations
from onelip.bounds.affine_rules import channel_factors
from onelip.bounds.convolution_rules import stored_weight
from onelip.bounds.registry import Call, Operand, Refused, known, largest, register_calls
from onelip.linalg import Bound, divide_up, matrix_norm_bound, sqrt_up


def _unchanged(call: Call) -> Bound:
    return call.only_signal()[1]


def _scaled(own: Bound | Callable[[Call, Tensor], Bound]) -> Callable[[Call], Bound]:
    # A map of one signal: its own constant after the signal's.
    def rule(call: Call) -> Bound:
        value, before = call.only_signal()
        return before.then(own if isinstance(own, Bound) else own(call, value))

    return rule


def _copies(value: Tensor, result: Tensor) -> Bound:
    # Broadcasting copies every entry equally often, or not at all.
    return known(sqrt_up(float(max(1, result.numel() // max(1, value.numel())))), "copies")


def _spread(operand: Operand, result: Tensor) -> Bound:
    if operand.bound is None:
        raise Refused("an argument that does not depend on the input was taken for one that does")
    return operand.bound.then(_copies(operand.value, result))


def _sum(call: Call) -> Bound:
    alpha = abs(float(call.kwargs.get("alpha", 1)))
    signals = call.signals()
    parts = [_spread(operand, call.result) for operand in signals]
    second = call.args[1] if len(call.args) > 1 else call.kwargs.get("other")
    if alpha != 1 and signals[-1] is second:
        parts[-1] = parts[-1].then(known(alpha, "alpha"))
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return total


def _stacked(call: Call) -> Bound:
    signals = call.signals()
    total = _spread(signals[0], signals[0].value)
    for signal in signals[1:]:
        total = total.stack(_spread(signal, signal.value))
    return total


def _concatenation(call: Call) -> Bound:
    if call.argument(1, "dim", 0) == 0:
        raise Refused("concatenating along axis 0 mixes the samples of a batch")
    return _stacked(call)


def _elementwise_pair(call: Call) -> Bound:
    # |max(a, b) - max(c, d)| <= max(|a - c|, |b - d|) <= sqrt((a - c)^2 + (b - d)^2).
    parts = [_spread(operand, call.result) for operand in call.signals()]
    return parts[0] if len(parts) == 1 else parts[0].stack(parts[1])


def _product(call: Call) -> Bound:
    value, before = call.only_signal()
    first, second, *_ = (*call.args, *call.kwargs.values())
    other = second if isinstance(first, Operand) and first.value is value else first
    constant = torch.as_tensor(other.value if isinstance(other, Operand) else other)
    return before.then(known(largest(constant), "factor")).then(_copies(value, call.result))


def _quotient(call: Call) -> Bound:
    if call.kwargs.get("rounding_mode") is not None:
        raise Refused("rounding is not continuous")
    value, before = call.only_signal()
    divisor = (*call.args, *call.kwargs.values())[1]
    if isinstance(divisor, Operand) and divisor.value is value:
        raise Refused("dividing by a signal has unbounded derivatives")
    numbers = torch.as_tensor(divisor.value if isinstance(divisor, Operand) else divisor)
    largest(numbers)
    smallest = float(numbers.detach().to(torch.float64).abs().min())
    if smallest == 0:
        raise Refused("it divides by zero")
    return before.then(known(divide_up(1.0, smallest), "divisor")).then(_copies(value, call.result))


def _matrix_product(call: Call) -> Bound:
    value, before = call.only_signal()
    left, right = (a.value for a in call.args[:2])
    matrix = right if left is value else left
    if matrix.dim() != 2:
        raise Refused("only products with one stored matrix are bounded")
    # Applied to every row or column of the signal alike.
    return before.then(matrix_norm_bound(matrix)).then(_copies(value, value))


def _linear(call: Call, value: Tensor) -> Bound:
    return matrix_norm_bound(stored_weight(call))


def _batch_norm(call: Call, value: Tensor) -> Bound:
    if call.argument(5, "training", False):
        raise Refused("with training=True it divides by the batch's own standard deviation")
    return channel_factors(call.argument(2, "running_var"), call.argument(7, "eps", 1e-5), call.argument(3, "weight"))


def _dropout(call: Call, value: Tensor) -> Bound:
    if call.argument(2, "training", True):
        raise Refused("with training=True it is random")
    return known(1.0, "exact")


def _reduced_entries(value: Tensor, result: Any) -> int:
    return max(1, value.numel() // max(1, result.numel()))


def _reduces_batch(call: Call, value: Tensor) -> None:
    dims = call.argument(1, "dim")
    _within_samples(value, range(value.dim()) if dims is None else dims)


def _mean(call: Call, value: Tensor) -> Bound:
    _reduces_batch(call, value)
    return known(sqrt_up(divide_up(1.0, _reduced_entries(value, call.result))), "mean")


def _total(call: Call, value: Tensor) -> Bound:
    _reduces_batch(call, value)
    return known(sqrt_up(float(_reduced_entries(value, call.result))), "sum")


def _index(call: Call) -> Bound:
    source = call.args[0]
    if source.bound is None or not _copies_nothing(call.args[1]):
        raise Refused("only slices, integers, None and ... are bounded as indices")
    return source.bound


def _attribute(call: Call) -> Bound:
    source, name = call.args[:2]
    if source.bound is None or name not in ("values", "mT"):
        raise Refused(f"attribute {name!r} of a value that depends on the input is not bounded")
    return source.bound


def _copies_nothing(index: Any) -> bool:
    if isinstance(index, tuple):
        return all(map(_copies_nothing, index))
    if isinstance(index, slice):
        return True
    value = index.value if isinstance(index, Operand) else index
    return value is None or value is Ellipsis or (isinstance(value, int) and not isinstance(value, bool))


def _expanded(call: Call, value: Tensor) -> Bound:
    return _copies(value, call.result)


def _prelu(call: Call, value: Tensor) -> Bound:
    return activations.slope_constant(largest(call.argument(1, "weight")))


def _along(call: Call) -> Bound:
    # Sorting, turning and taking extrema never stretch, but must stay within a sample.
    dims = call.argument(1, "dim", call.argument(1, "dims"))
    if len(call.signals()) > 1 or isinstance(dims, Tensor):
        return _elementwise_pair(call)
    value, before = call.only_signal()
    _within_samples(value, range(value.dim()) if dims is None else dims)
    return before


def _sorted(call: Call) -> Bound:
    value, before = call.only_signal()
    _within_samples(value, call.argument(1, "dim", -1))
    return before


def _rolled(call: Call) -> Bound:
    value, before = call.only_signal()
    dims = call.argument(2, "dims")
    if dims is None:
        raise Refused("without dims it mixes the samples of a batch")
    _within_samples(value, dims)
    return before


def _softmax(own: Callable[[int], Bound]) -> Callable[[Call, Tensor], Bound]:
    def rule(call: Call, value: Tensor) -> Bound:
        dim = call.argument(1, "dim")
        if dim is None:
            raise Refused("without dim it acts along an axis that depends on the shape; name it")
        _within_samples(value, dim)
        return own(value.shape[dim])

    return rule


def _within_samples(value: Tensor, dims: Any) -> None:
    axes = [dims] if isinstance(dims, int) else dims
    if any(axis % value.dim() == 0 for axis in axes):
        raise Refused("along axis 0 it mixes the samples of a batch")


UNCHANGED = (
    torch.relu, torch.relu_, F.relu, F.relu6, "relu", "relu_", torch.abs, "abs", "abs_", torch.neg, operator.neg,
    "neg", operator.pos, torch.tanh, F.tanh, "tanh", "tanh_", F.softsign, F.hardtanh, F.logsigmoid, F.tanhshrink,
    torch.clamp, "clamp", "clamp_", torch.clip, "clip", torch.clamp_min, torch.clamp_max, "clamp_min", "clamp_max",
    torch.sin, torch.cos, torch.atan, torch.arctan, "sin", "cos", "atan", "arctan", torch.flatten, "flatten",
    "reshape", torch.reshape, "view", "permute", torch.permute, "transpose", torch.transpose, "movedim",
    torch.movedim, "contiguous", "clone", torch.clone, "squeeze", torch.squeeze, "unsqueeze", torch.unsqueeze,
    "unflatten", "swapaxes", torch.swapaxes, "narrow", torch.narrow, "chunk", torch.chunk, "split", torch.split,
    "tensor_split", torch.tensor_split, "unbind", torch.unbind, F.pixel_shuffle, torch.pixel_shuffle,
    F.pixel_unshuffle, torch.pixel_unshuffle, F.channel_shuffle, "float", "double", "to", "type_as", "diagonal",
)  # fmt: skip

ALONG = (
    torch.flip, "flip", "amax", "amin", torch.amax, torch.amin, torch.max, "max", torch.min, "min",
)  # fmt: skip
"""Along axes of a sample, or the extrema of two values."""


def _register() -> None:
    register_calls(_unchanged, *UNCHANGED)
    register_calls(_along, *ALONG)
    register_calls(_rolled, torch.roll, "roll")
    register_calls(_sorted, torch.sort, "sort")
    register_calls(_sum, operator.add, operator.iadd, torch.add, "add", "add_")
    register_calls(_sum, operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_", "subtract")
    register_calls(_product, operator.mul, operator.imul, torch.mul, "mul", "mul_", torch.multiply, "multiply")
    register_calls(_quotient, operator.truediv, operator.itruediv, torch.div, "div", "div_", torch.divide)
    register_calls(_quotient, torch.true_divide, "divide", "true_divide")
    register_calls(_matrix_product, operator.matmul, torch.matmul, "matmul", torch.mm, "mm")
    register_calls(_concatenation, torch.cat, torch.concat, torch.concatenate, torch.stack)
    register_calls(_elementwise_pair, torch.maximum, torch.minimum, "maximum", "minimum")
    register_calls(_index, operator.getitem)
    register_calls(_attribute, getattr)
    register_calls(_scaled(known(activations.SIGMOID)), torch.sigmoid, F.sigmoid, "sigmoid", "sigmoid_")
    register_calls(_scaled(known(activations.SILU)), F.silu)
    register_calls(_scaled(known(activations.MISH)), F.mish)
    register_calls(_scaled(known(activations.SELU)), F.selu, torch.selu)
    halves = _softmax(lambda _: known(activations.SOFTMAX))
    register_calls(_scaled(halves), torch.softmax, F.softmax, "softmax", F.softmin)
    register_calls(_scaled(_softmax(activations.log_softmax_constant)), F.log_softmax, "log_softmax", torch.log_softmax)
    register_calls(_scaled(known(activations.HARD_SWISH)), F.hardswish)
    register_calls(_scaled(known(activations.HARD_SIGMOID)), F.hardsigmoid)
    register_calls(_scaled(lambda c, _: activations.gelu_constant(c.kwargs.get("approximate", "none"))), F.gelu)
    register_calls(_scaled(lambda c, _: activations.slope_constant(c.argument(1, "alpha", 1.0))), F.elu)
    register_calls(_scaled(lambda c, _: activations.celu_constant(c.argument(1, "alpha", 1.0))), F.celu, torch.celu)
    register_calls(
        _scaled(lambda c, _: activations.slope_constant(c.argument(1, "negative_slope", 0.01))), F.leaky_relu
    )
    register_calls(_scaled(_prelu), F.prelu, torch.prelu)
    register_calls(
        _scaled(lambda c, _: activations.softplus_constant(c.argument(1, "beta", 1), c.argument(2, "threshold", 20))),
        F.softplus,
    )
    register_calls(_scaled(lambda c, _: activations.shrink_constant(c.argument(1, "lambd", 0.5))), F.softshrink)
    register_calls(
        _scaled(lambda c, _: activations.threshold_constant(c.argument(1, "threshold"), c.argument(2, "value"))),
        F.threshold,
    )
    register_calls(_scaled(_dropout), F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout)
    register_calls(_scaled(_linear), F.linear)
    register_calls(_scaled(_batch_norm), F.batch_norm)
    register_calls(_scaled(_mean), torch.mean, "mean")
    register_calls(_scaled(_total), torch.sum, "sum")
    register_calls(_scaled(_expanded), "expand", "repeat", "expand_as")


_register()
