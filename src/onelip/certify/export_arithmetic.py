"""What sums, products, means and concatenations do, as operations of a frozen network."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Call, Operand, largest
from onelip.bounds.windows import separable_bound
from onelip.certify.export_copies import broadcast, gather
from onelip.certify.export_functions import is_signal, register_function
from onelip.certify.export_modules import Operation, Shape, sample_axis
from onelip.linalg import divide_up, matrix_norm_bound


def scaled(factor: float, source: Operation | int) -> Operation:
    """Multiply by a number.

    Args:
        factor: The number.
        source: What is multiplied.

    Returns:
        The operation.
    """
    return Operation("scale", {"factor": factor}, sources=(source,), constant=abs(factor))


def _pair(call: Call) -> tuple[Any, Any]:
    first, second, *_ = (*call.args, *(call.kwargs[k] for k in ("input", "other") if k in call.kwargs))
    return first, second


def _sources(call: Call, after: Shape) -> list[Operation | int]:
    return [broadcast(i, tuple(s.value.shape[1:]), after) for i, s in enumerate(call.signals())]


def _number(value: Any) -> Tensor:
    # As float64 if it was a Python number, else as it is stored.
    value = value.value if isinstance(value, Operand) else value
    return value.detach() if isinstance(value, Tensor) else torch.tensor(float(value), dtype=torch.float64)


def full(number: Tensor, shape: Shape) -> Tensor:
    """Write a broadcasting constant for every entry of a sample.

    Args:
        number: Of a shape that broadcasts with a batch.
        shape: Shape of one sample.

    Returns:
        `shape`.
    """
    # A stored tensor may carry a batch axis of length 1.
    return number.expand(1, *shape)[0] if number.dim() > len(shape) else number.expand(shape)


def _small(number: Tensor, shape: Shape) -> Tensor:
    # Without batch axis, with the rank of a sample, so that it broadcasts.
    number = number[0] if number.dim() > len(shape) else number
    return number.reshape((1,) * (len(shape) - number.dim()) + tuple(number.shape))


def _shifted(number: Tensor, source: Operation | int, shape: Shape) -> Operation:
    return Operation("shift", {}, {"value": full(number, shape)}, sources=(source,), constant=1.0)


def _sum(sign: float) -> Any:
    def export(call: Call, facts: NodeFacts) -> Operation | None:
        first, second = _pair(call)
        factor = sign * float(call.argument(2, "alpha", 1))
        after = facts.output_shape
        sources = _sources(call, after)
        if not is_signal(second):
            return _shifted(_number(second) * factor, sources[0], after)
        if not is_signal(first):
            return _shifted(_number(first), scaled(factor, sources[0]), after)
        # By name, the second may have been passed first.
        signals = call.signals()
        order = [next(i for i, signal in enumerate(signals) if signal is operand) for operand in (first, second)]
        return _joined(sources[order[0]], sources[order[1]], factor)

    return export


def _joined(first: Operation | int, second: Operation | int, factor: float) -> Operation:
    if abs(factor) != 1:
        second, factor = scaled(factor, second), 1.0
    return Operation("add" if factor == 1 else "subtract", sources=(first, second))


def _add(call: Call, facts: NodeFacts) -> Operation | None:
    first, second = _pair(call)
    twice = is_signal(first) and is_signal(second) and first is second and call.argument(2, "alpha", 1) == 1
    # x + x is multiplied by 2.
    return scaled(2.0, 0) if twice else _sum(1.0)(call, facts)


def _multiplied(op: str, number: Tensor, source: Operation | int, shape: Shape) -> Operation:
    constant = largest(number) if op == "multiply" else divide_up(1.0, float(number.double().abs().min()))
    return Operation(op, {}, {"value": _small(number, shape)}, sources=(source,), constant=constant)


def _multiply(call: Call, facts: NodeFacts) -> Operation | None:
    first, second = _pair(call)
    number = _number(second if is_signal(first) else first)
    (source,) = _sources(call, facts.output_shape)
    if number.numel() == 1:
        return scaled(float(number), source)
    return _multiplied("multiply", number, source, facts.output_shape)


def _divide(call: Call, facts: NodeFacts) -> Operation | None:
    (source,) = _sources(call, facts.output_shape)
    return _multiplied("divide", _number(_pair(call)[1]), source, facts.output_shape)


def _negate(call: Call, facts: NodeFacts) -> Operation:
    return scaled(-1.0, 0)


def _unchanged(call: Call, facts: NodeFacts) -> Operation:
    return Operation("identity")


def _concatenate(call: Call, facts: NodeFacts) -> Operation | None:
    parts = call.args[0] if call.args else call.kwargs["tensors"]
    if not all(map(is_signal, parts)):
        return None
    axis = sample_axis(call.argument(1, "dim", 0), facts.output_shape)
    return Operation("concatenate", {"axis": axis}, sources=tuple(range(len(parts))))


def _stack(call: Call, facts: NodeFacts) -> Operation | None:
    joined = _concatenate(call, facts)
    if joined is None:
        return None
    axis = joined.attributes["axis"]
    shape = list(facts.output_shape)
    shape[axis] = 1
    parts = tuple(Operation("reshape", {"shape": shape}, sources=(i,), constant=1.0) for i in joined.sources or ())
    return Operation("concatenate", {"axis": axis}, sources=parts)


def _extremum(op: str) -> Any:
    def export(call: Call, facts: NodeFacts) -> Operation | None:
        after, sign = facts.output_shape, 1.0 if op == "maximum" else -1.0
        sources = _sources(call, after)
        if len(sources) == 2:
            return Operation(op, sources=tuple(sources))
        first, second = _pair(call)
        number = _number(second if is_signal(first) else first)
        # The maximum of x and c is c + relu(x - c); the minimum is c - relu(c - x).
        above = _shifted(-sign * number, scaled(sign, sources[0]), after)
        kept = Operation("relu", sources=(above,), constant=1.0)
        return _shifted(number, scaled(sign, kept), after)

    return export


def matrices(axes: dict[int, Tensor]) -> Operation:
    """Multiply along axes by one matrix each.

    Args:
        axes: `(m, n)` float64 by axis of a sample, entries rounded at most four times.

    Returns:
        The operation.
    """
    tensors = {f"matrix{k}": matrix for k, matrix in enumerate(axes.values())}
    return Operation("matrices", {"axes": list(axes)}, tensors, constant=separable_bound(*axes.values()).value)


def _reduced_axes(call: Call, shape: Shape) -> list[int]:
    dims = call.argument(1, "dim")
    return [sample_axis(dim, shape) for dim in ([dims] if isinstance(dims, int) else dims)]


def _reduced(average: bool) -> Any:
    def export(call: Call, facts: NodeFacts) -> Operation | None:
        before = facts.input_shape
        rows = {
            axis: torch.full((1, before[axis]), 1 / before[axis] if average else 1.0, dtype=torch.float64)
            for axis in _reduced_axes(call, before)
        }
        return _reshaped(matrices(rows), facts.output_shape)

    return export


def _reshaped(operation: Operation, shape: Shape) -> Operation:
    return Operation("reshape", {"shape": list(shape)}, sources=(operation.after(0),), constant=1.0)


def largest_along(axes: list[int], shape: Shape, source: Operation | int) -> Operation:
    """Take the maximum along whole axes.

    Args:
        axes: Of a sample.
        shape: Shape of one sample.
        source: Of what.

    Returns:
        The operation, which keeps the axes at length 1.
    """
    windows = [[list(range(shape[axis]))] for axis in axes]
    return Operation("max_windows", {"axes": axes, "windows": windows}, sources=(source,), constant=1.0)


def _sort(call: Call, facts: NodeFacts) -> Operation:
    shape = facts.input_shape
    axis = sample_axis(call.argument(1, "dim", -1), shape)
    ordered = Operation("group_sort", {"axis": axis, "group_size": shape[axis]}, sources=(0,), constant=1.0)
    if not call.argument(2, "descending", False):
        return ordered
    return gather({axis: list(range(shape[axis] - 1, -1, -1))}).after(ordered)


def _extremum_along(sign: float) -> Any:
    def export(call: Call, facts: NodeFacts) -> Operation | None:
        if len(call.signals()) > 1 or isinstance(call.argument(1, "dim"), Tensor):
            return _extremum("maximum" if sign > 0 else "minimum")(call, facts)
        axes = _reduced_axes(call, facts.input_shape)
        source: Operation | int = 0 if sign > 0 else scaled(-1.0, 0)
        top = largest_along(axes, facts.input_shape, source)
        # With a dim, `max` gives the values and their positions.
        values = call.result[0] if isinstance(call.result, tuple) else call.result
        kept = Operation("reshape", {"shape": list(values.shape[1:])}, sources=(top,), constant=1.0)
        return kept if sign > 0 else scaled(-1.0, kept)

    return export


def _matrix_product(call: Call, facts: NodeFacts) -> Operation | None:
    left, right = call.args[0], _pair(call)[1]
    rank = len(facts.input_shape)
    if is_signal(left):
        return Operation("linear", {}, {"weight": right.value.mT})
    if rank < 2:
        return None
    # A matrix from the left acts along the last axis but one.
    matrix = left.value.detach()
    return Operation("matrices", {"axes": [rank - 2]}, {"matrix0": matrix}, constant=matrix_norm_bound(matrix).value)


register_function(_add, operator.add, operator.iadd, torch.add, "add", "add_")
register_function(_sum(-1.0), operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_", "subtract")
register_function(_multiply, operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_", "multiply")
register_function(
    _divide, operator.truediv, operator.itruediv, torch.div, torch.divide, torch.true_divide, "div", "div_", "divide",
    "true_divide",
)  # fmt: skip
register_function(_negate, operator.neg, torch.neg, "neg")
register_function(_unchanged, operator.pos, F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout)
register_function(_concatenate, torch.cat, torch.concat, torch.concatenate)
register_function(_stack, torch.stack)
register_function(_extremum("maximum"), torch.maximum, "maximum")
register_function(_extremum("minimum"), torch.minimum, "minimum")
register_function(_extremum_along(1.0), torch.amax, "amax", torch.max, "max")
register_function(_extremum_along(-1.0), torch.amin, "amin", torch.min, "min")
register_function(_sort, torch.sort, "sort")
register_function(_reduced(True), torch.mean, "mean")
register_function(_reduced(False), torch.sum, "sum")
register_function(_matrix_product, operator.matmul, torch.matmul, "matmul", torch.mm, "mm")
