"""What functions that only copy entries do, found by running them on an image of numbered entries.

Reshaping, slicing, padding, rolling, nearest-neighbour resizing and the like give every entry of the output from one
entry of the input, or a constant. So the function itself says which: it is run on the numbers 1, 2, 3, ... and on the
same numbers moved up by a constant; what does not move is a constant, the rest are positions.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Call, Operand, plain
from onelip.bounds.windows import repeats_bound, unfold_repeats
from onelip.certify.export_functions import function_operation, is_signal, register_function
from onelip.certify.export_modules import Operation, Shape, register_exporter

MOST_AXES = 5
"""Of a sample whose axes are tried in every order."""


def copy_operation(function: Callable[[Tensor], Tensor], before: Shape) -> Operation | None:
    """Describe a function that copies entries of each sample.

    Args:
        function: From `(1, ...)` float64 to `(1, ...)`.
        before: Shape of one sample.

    Returns:
        The operation, or None if the function mixes samples or writes more than one constant.
    """
    size = math.prod(before)
    numbered = torch.arange(1, size + 1, dtype=torch.float64).reshape(1, *before)
    # Functions may work in place.
    first, second = function(numbered.clone()), function(numbered + 2.0 * size)
    if first.dim() < 1 or len(first) != 1:
        return None
    constant = first == second
    values = first[constant].unique()
    moved = first[~constant]
    whole = bool(((moved == moved.round()) & (moved >= 1) & (moved <= size)).all())
    if (
        len(values) > 1
        or not whole
        or not bool(values.isfinite().all())
        or not torch.equal(second[~constant], moved + 2.0 * size)
    ):
        return None
    index = torch.where(constant, -1, first - 1)[0].long()
    return _described(index, float(values[0]) if len(values) else 0.0, before)


def _described(index: Tensor, fill: float, before: Shape) -> Operation:
    after, size = tuple(index.shape), math.prod(before)
    entries = torch.arange(size).reshape(before)
    if index.numel() == size and torch.equal(index.flatten(), entries.flatten()):
        return Operation("identity") if after == before else Operation("reshape", {"shape": list(after)}, constant=1.0)
    if index.numel() == size and len(before) == len(after) <= MOST_AXES and sorted(before) == sorted(after):
        for axes in itertools.permutations(range(len(before))):
            if torch.equal(entries.permute(axes), index):
                return Operation("permute", {"axes": list(axes)}, constant=1.0)
    return _by_axis(index, fill, before) or _by_entry(index, fill)


def _by_axis(index: Tensor, fill: float, before: Shape) -> Operation | None:
    if index.dim() != len(before) or index.numel() == 0:
        return None
    places = torch.unravel_index(index.clamp(min=0), before)
    axes: dict[int, list[int]] = {}
    rebuilt = torch.arange(math.prod(before)).reshape(before)
    for axis, place in enumerate(places):
        # Along every other axis the place must be the same; a slab of constants has none.
        line = torch.where(index < 0, -1, place).movedim(axis, 0).reshape(index.shape[axis], -1).amax(1)
        picked = rebuilt.index_select(axis, line.clamp(min=0))
        shape = [-1 if k == axis else 1 for k in range(index.dim())]
        rebuilt = torch.where((line < 0).reshape(shape), -1, picked)
        if not torch.equal(line, torch.arange(before[axis])):
            axes[axis] = line.tolist()
    if not torch.equal(rebuilt, index):
        return None
    return _slice(axes) or gather(axes, fill)


def _slice(axes: dict[int, list[int]]) -> Operation | None:
    if len(axes) != 1:
        return None
    ((axis, line),) = axes.items()
    if line[0] < 0 or line != list(range(line[0], line[0] + len(line))):
        return None
    return Operation("slice", {"axis": axis, "start": line[0], "stop": line[-1] + 1}, constant=1.0)


def gather(axes: dict[int, list[int]], fill: float = 0.0) -> Operation:
    """Describe copying along axes, one by one.

    Args:
        axes: For each axis of a sample, the place that each place of the output copies; -1 for the constant.
        fill: The constant.

    Returns:
        The operation.
    """
    counts = [max(line.count(place) for place in {*line, 0} - {-1}) for line in axes.values()]
    attributes = {"axes": list(axes), "indices": list(axes.values()), "fill": fill}
    return Operation("gather", attributes, constant=repeats_bound([max(1, c) for c in counts], "copies").value)


def _by_entry(index: Tensor, fill: float) -> Operation:
    copied = index[index >= 0]
    most = int(torch.bincount(copied).max()) if copied.numel() else 1
    # Whole numbers below 2^53 are exact.
    attributes = {"shape": list(index.shape), "fill": fill}
    tensors = {"index": index.flatten().to(torch.float64)}
    return Operation("take", attributes, tensors, constant=repeats_bound([most], "copies").value)


def broadcast(signal: int, before: Shape, after: Shape) -> Operation | int:
    """Repeat a signal as broadcasting does.

    Args:
        signal: Its number.
        before: Shape of one of its samples.
        after: Shape to be reached.

    Returns:
        The operation, or the signal itself if it has that shape.
    """
    if before == after:
        return signal
    full = (1,) * (len(after) - len(before)) + before
    axes = {k: [0] * n for k, (m, n) in enumerate(zip(full, after, strict=True)) if m != n}
    first = signal if full == before else Operation("reshape", {"shape": list(full)}, sources=(signal,), constant=1.0)
    return gather(axes).after(first) if axes else first


def applied(target: Any, call: Call) -> Callable[[Tensor], Any]:
    """Make a call a function of its only signal.

    Args:
        target: The function, or the name of the method.
        call: The call.

    Returns:
        A function.
    """

    def replaced(value: Any, x: Tensor) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(replaced(v, x) for v in value)
        return x if is_signal(value) else value.value if isinstance(value, Operand) else plain(value)

    def function(x: Tensor) -> Any:
        args, kwargs = replaced(call.args, x), {k: replaced(v, x) for k, v in call.kwargs.items()}
        return getattr(args[0], target)(*args[1:], **kwargs) if isinstance(target, str) else target(*args, **kwargs)

    return function


def part_operation(target: Any, facts: NodeFacts, part: Any) -> Operation | None:
    """Describe taking one tensor out of the tuple that a call gives.

    Args:
        target: The function, or the name of the method.
        facts: What is known of the call.
        part: Its index or name.

    Returns:
        The operation, or None if a certificate cannot hold it.
    """
    if facts.call is None:
        return None
    if target in _SPLITTING and isinstance(part, int):
        function = applied(target, facts.call)
        return copy_operation(lambda x: function(x)[part], facts.input_shape)
    # Of values and positions only the values are continuous.
    return function_operation(target, facts) if part in (0, "values") else None


_SPLITTING = ("chunk", torch.chunk, "split", torch.split, "unbind", torch.unbind, "tensor_split", torch.tensor_split)

_COPYING: tuple[Any, ...] = (
    "flatten", torch.flatten, "reshape", torch.reshape, "view", "unflatten", "squeeze", torch.squeeze, "unsqueeze",
    torch.unsqueeze, "permute", torch.permute, "transpose", torch.transpose, "movedim", torch.movedim, "swapaxes",
    "contiguous", "clone", torch.clone, "flip", torch.flip, "roll", torch.roll, "narrow", torch.narrow, "expand",
    "expand_as", "repeat", "diagonal", getattr, F.pad, F.pixel_shuffle, torch.pixel_shuffle, F.pixel_unshuffle,
    torch.pixel_unshuffle, F.channel_shuffle, F.unfold, operator.getitem, "float", "double", "to", "type_as",
)  # fmt: skip


def _copying(target: Any) -> Any:
    def export(call: Call, facts: NodeFacts) -> Operation | None:
        return copy_operation(applied(target, call), facts.input_shape)

    return export


def _converting(call: Call, facts: NodeFacts) -> Operation:
    # Certificates are about real arithmetic, in which a floating type is no difference.
    return Operation("identity")


def _module(module: Any, before: Shape, after: Shape) -> Operation:
    operation = copy_operation(module, before)
    if operation is None:
        raise ValueError(f"{type(module).__name__} on inputs of shape {before} does more than copy entries")
    return operation


def _fold(options: tuple[Any, ...], after: Shape) -> Operation:
    # Unfolding the numbered output says which of its entries each entry of the input is added to.
    numbered = torch.arange(1, math.prod(after) + 1, dtype=torch.float64).reshape(1, *after)
    index = F.unfold(numbered, *options).flatten() - 1
    most = repeats_bound([unfold_repeats(after[-2:], *options)], "sums").value
    return Operation("put", {"shape": list(after)}, {"index": index}, constant=most)


def _fold_call(call: Call, facts: NodeFacts) -> Operation:
    defaults = (("kernel_size", None), ("dilation", 1), ("padding", 0), ("stride", 1))
    options = [call.argument(i + 2, name, default) for i, (name, default) in enumerate(defaults)]
    return _fold(tuple(options), facts.output_shape)


def _fold_module(m: Any, before: Shape, after: Shape) -> Operation:
    return _fold((m.kernel_size, m.dilation, m.padding, m.stride), after)


for _target in _COPYING:
    register_function(_copying(_target), _target)
register_function(_converting, "float", "double", "to", "type_as", "contiguous", "clone", torch.clone)
register_function(_fold_call, F.fold)
register_exporter(
    _module, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d, nn.ZeroPad1d, nn.ZeroPad3d, nn.ReflectionPad1d,
    nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d,
    nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d, nn.Unfold,
)  # fmt: skip
register_exporter(_fold_module, nn.Fold)
