"""Rewrite a frozen network into affine maps, rectifiers and maxima.

max(a, b) = b + relu(a - b) and min(a, b) = a - relu(a - b), so that lines enclose a function of the difference, whose
bounds are tighter than those of a and b; x - 2 W^T relu(W x + b) and 2 A^T relu(B x + b) are taken apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from onelip.certify.forward import apply_operation
from onelip.certify.records import INPUT, Network, Node
from onelip.certify.relaxation.affine import AffineMap, Map, Shape, adjoint_map, dense_map, exact_map
from onelip.certify.relaxation.affine_operations import (
    AFFINE,
    bias_of,
    identity,
    numbers,
    per_channel,
    placed,
    weighted_conv,
)
from onelip.certify.relaxation.steps import Affine, Maximum, Rectifier, Step


class UnrelaxableOperation(ValueError):  # noqa: N818  (reads as what it says)
    """A network contains an operation that no lines are known for.

    Args:
        name: Name of the node.
        op: Its operation.
    """

    def __init__(self, name: str, op: str) -> None:
        super().__init__(
            f"op={op!r} of node {name!r} has no linear relaxation; use one of {', '.join(relaxable_operations())}"
        )


@dataclass(frozen=True, eq=False)
class Program:
    """A rewritten network.

    Attributes:
        network: What it was made of.
        steps: In order of execution.
        output: Name of the last step.
        differences: For steps that subtract one half of a value from another, the name of that value.
    """

    network: Network
    steps: tuple[Step, ...]
    output: str
    differences: dict[str, str]

    @property
    def output_shape(self) -> Shape:
        """Shape of one output sample."""
        shapes = {step.name: step.shape for step in self.steps}
        return shapes.get(self.output, tuple(self.network.input_shape))

    @property
    def largest(self) -> int:
        """Number of entries of the largest value."""
        return max(math.prod(shape) for shape in (self.network.input_shape, *(s.shape for s in self.steps)))


def rewrite(network: Network) -> Program:
    """Take a network apart.

    Args:
        network: The frozen network.

    Returns:
        Its steps; those that stand for whole nodes have their names.

    Raises:
        UnrelaxableOperation: If an operation has no relaxation.
    """
    writer = _Writer({INPUT: tuple(network.input_shape)})
    names = writer.network(network, "", INPUT)
    return Program(network, tuple(writer.steps), names[network.output], writer.differences)


def relaxable_operations() -> tuple[str, ...]:
    """List the operations that can be relaxed.

    Returns:
        Their names.
    """
    return tuple(sorted({*AFFINE, *_REWRITES, "concat_residual"}))


@dataclass
class _Writer:
    shapes: dict[str, Shape]
    steps: list[Step] = field(default_factory=list)
    differences: dict[str, str] = field(default_factory=dict)

    def network(self, network: Network, prefix: str, start: str) -> dict[str, str]:
        # Nodes of branches are named `<node of the branch>/<node>`.
        names = {INPUT: start}
        for node in network.nodes:
            full = replace(node, name=prefix + node.name, inputs=tuple(names[name] for name in node.inputs))
            names[node.name] = full.name
            if node.op in AFFINE:
                self.affine(full.name, full.inputs, AFFINE[node.op](full, [self.shapes[name] for name in full.inputs]))
            elif node.op == "concat_residual" and node.branch is not None:
                self.concat_residual(full, node.branch)
            elif node.op in _REWRITES:
                _REWRITES[node.op](self, full)
            else:
                raise UnrelaxableOperation(full.name, node.op)
        return names

    def add(self, step: Step) -> None:
        if not step.shape:
            raise UnrelaxableOperation(step.name, "a number without an axis")
        self.steps.append(step)
        self.shapes[step.name] = step.shape

    def affine(self, name: str, inputs: tuple[str, ...], maps: list[AffineMap], monotone: Map | None = None) -> None:
        zeros = torch.zeros(1, *self.shapes[inputs[0]], dtype=torch.float64)
        self.add(Affine(name, inputs, tuple(maps[0].apply(zeros).shape[1:]), tuple(maps), monotone))

    def rectifier(self, name: str, source: str, slope: Tensor) -> None:
        self.add(Rectifier(name, (source,), self.shapes[source], slope))

    def concat_residual(self, node: Node, branch: Network) -> None:
        (source,), channels = node.inputs, self.shapes[node.inputs[0]][0]
        kept = (channels + 1) // 2
        parts = []
        for part, start, length in (("kept", 0, kept), ("changed", kept, channels - kept)):
            place = placed(0, start, length, channels)
            take = AffineMap(place.adjoint, place.adjoint, place.apply, 1)
            self.affine(f"{node.name}:{part}", (source,), [take])
            parts.append(f"{node.name}:{part}")
        image = self.network(branch, f"{node.name}/", parts[1])[branch.output]
        total = kept + self.shapes[image][0]
        maps = [placed(0, 0, kept, total), placed(0, kept, total - kept, total)]
        self.affine(node.name, (parts[0], image), maps)

    def pairs(self, node: Node, split: Callable[[Tensor], tuple[Tensor, Tensor]], join: Map, keep: Map) -> None:
        # With (a, b) = split(x) and r = relu(a - b), the value is keep(x) + join(r).
        (source,), shape = node.inputs, self.shapes[node.inputs[0]]
        difference, rectified = f"{node.name}:difference", f"{node.name}:rectified"

        def subtract(x: Tensor) -> Tensor:
            a, b = split(x)
            return a - b

        def add(x: Tensor) -> Tensor:
            a, b = split(x)
            return a + b

        self.affine(difference, (source,), [exact_map(subtract, shape, add)])
        self.differences[difference] = source
        self.rectifier(rectified, difference, _slope(0.0))
        maps = [exact_map(keep, shape), exact_map(join, self.shapes[rectified], lambda r: join(r).abs())]
        self.affine(node.name, (source, rectified), maps, lambda x: apply_operation(node, [x]))


def _slope(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def _rectified(slope: float | None) -> Callable[[_Writer, Node], None]:
    def write(writer: _Writer, node: Node) -> None:
        own = float(node.attributes["slope"]) if slope is None else slope
        writer.rectifier(node.name, node.inputs[0], _slope(own))

    return write


def _prelu(writer: _Writer, node: Node) -> None:
    slope = per_channel(numbers(node, "slope"), writer.shapes[node.inputs[0]])
    writer.rectifier(node.name, node.inputs[0], slope)


def _beta_abs(writer: _Writer, node: Node) -> None:
    shape, axis = writer.shapes[node.inputs[0]], node.attributes["axis"]
    slope = torch.ones(shape[axis], dtype=torch.float64)
    slope[: node.attributes["count"]] = -1.0
    writer.rectifier(node.name, node.inputs[0], slope.reshape(-1, *[1] * (len(shape) - 1 - axis)))


def _maxmin(writer: _Writer, node: Node) -> None:
    axis, channels = node.attributes["axis"] + 1, writer.shapes[node.inputs[0]][node.attributes["axis"]]
    half, rest = channels // 2, channels % 2

    def split(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.narrow(axis, 0, half), x.narrow(axis, half, half)

    def keep(x: Tensor) -> Tensor:
        return torch.cat([*reversed(split(x)), x.narrow(axis, 2 * half, rest)], axis)

    def join(r: Tensor) -> Tensor:
        return torch.cat([r, -r, r.new_zeros(*r.shape[:axis], rest, *r.shape[axis + 1 :])], axis)

    writer.pairs(node, split, join, keep)


def _sorted_pairs(writer: _Writer, node: Node) -> None:
    # Group sort of pairs gives (min, max) = (a - r, b + r); maxout gives b + r alone.
    if node.attributes["group_size"] != 2:
        raise UnrelaxableOperation(node.name, f"{node.op} with group_size={node.attributes['group_size']}")
    axis = node.attributes["axis"] + 1

    def split(x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
        return a, b

    def join(r: Tensor) -> Tensor:
        return torch.stack([-r, r], axis + 1).flatten(axis, axis + 1)

    if node.op == "maxout":
        writer.pairs(node, split, lambda r: r * 1.0, lambda x: split(x)[1])
    else:
        writer.pairs(node, split, join, lambda x: x * 1.0)


def _hidden(writer: _Writer, node: Node, inside: AffineMap, outside: list[AffineMap]) -> None:
    # outside(relu(inside(x))), plus x if there is a second map outside.
    hidden, rectified = f"{node.name}:hidden", f"{node.name}:rectified"
    writer.affine(hidden, node.inputs, [inside])
    writer.rectifier(rectified, hidden, _slope(0.0))
    sources = (rectified, node.inputs[0])[: len(outside)]
    writer.affine(node.name, sources, outside)


def _gradient_residual(writer: _Writer, node: Node) -> None:
    shape, weight = writer.shapes[node.inputs[0]], numbers(node, "weight")
    if node.op == "gradient_residual1d":
        inside, sizes = dense_map(weight), dense_map(weight.abs())
        bias = numbers(node, "bias") if "bias" in node.tensors else None
    else:
        inside, sizes = weighted_conv(node, shape, weight), weighted_conv(node, shape, weight.abs())
        bias = bias_of(node, shape)
    _hidden(writer, node, inside.shifted(bias), [adjoint_map(inside, sizes, -2.0), identity()])


def _sandwich1d(writer: _Writer, node: Node) -> None:
    weight, outputs = numbers(node, "weight"), node.attributes["outputs"]
    bias = numbers(node, "bias") if "bias" in node.tensors else None
    inside = dense_map(weight[:, outputs:].contiguous()).shifted(bias)
    _hidden(writer, node, inside, [dense_map(2 * weight[:, :outputs].T.contiguous())])


def _max_windows(writer: _Writer, node: Node) -> None:
    # Windows of the last axes, from the first that windows are along, as positions in all of these together.
    shape, along = (
        writer.shapes[node.inputs[0]],
        dict(zip(node.attributes["axes"], node.attributes["windows"], strict=True)),
    )
    first = min(along)
    windows, after = [[0]], list(shape[:first])
    for axis in range(first, len(shape)):
        lists = along.get(axis, [[i] for i in range(shape[axis])])
        windows = [[p * shape[axis] + q for p in outer for q in inner] for outer in windows for inner in lists]
        after.append(len(lists))
    longest = max(map(len, windows))
    table = torch.tensor([w + w[:1] * (longest - len(w)) for w in windows])
    writer.add(Maximum(node.name, node.inputs, tuple(after), table, len(shape) - first))


_REWRITES: dict[str, Callable[[_Writer, Node], None]] = {
    "abs": _rectified(-1.0),
    "beta_abs": _beta_abs,
    "gradient_residual1d": _gradient_residual,
    "gradient_residual2d": _gradient_residual,
    "group_sort": _sorted_pairs,
    "leaky_relu": _rectified(None),
    "max_windows": _max_windows,
    "maxmin": _maxmin,
    "maxout": _sorted_pairs,
    "prelu": _prelu,
    "relu": _rectified(0.0),
    "sandwich1d": _sandwich1d,
}
