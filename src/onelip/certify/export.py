"""Freeze a model of plain modules into the operations and stored numbers that a certificate is about."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from onelip.bounds.network import Analysis, NodeFacts, analyse
from onelip.bounds.registry import Norm
from onelip.bounds.tracing import Traced, trace
from onelip.bounds.windows import pair
from onelip.certify import export_activations  # noqa: F401  (enters how activations are described)
from onelip.certify.export_modules import Operation, module_operation, supported_modules
from onelip.certify.export_pooling import adaptive_operation, sliding_ranges, window_operation
from onelip.certify.records import INPUT, Network, Node


class UncertifiableOperation(ValueError):  # noqa: N818  (reads as what it says)
    """A model contains something that a certificate cannot hold.

    Args:
        name: Name of the node.
        kind: Class of the module or name of the function.
    """

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(
            f"{kind} at {name!r} cannot be part of a certificate; use layers of onelip or one of "
            + ", ".join(supported_modules())
        )


@dataclass(frozen=True, eq=False)
class Frozen:
    """A frozen network with the analysis of its constant.

    Attributes:
        network: The operations.
        analysis: The proved constants in l2, through which rounding errors are carried.
        in_norm: Those in the norm of the certificate.
    """

    network: Network
    analysis: Analysis
    in_norm: Analysis


def freeze(
    model: nn.Module,
    input_shape: tuple[int, ...],
    norm: Norm = "l2",
    *,
    tighten: bool = False,
    search_steps: int | None = None,
) -> Frozen:
    """Turn a model of plain modules into a frozen network.

    Args:
        model: Its modules and functions must be among those that a certificate can hold.
        input_shape: Shape of one input sample.
        norm: In which constants are wanted beside those in l2.
        tighten: Bound runs of dense layers as a whole too, if the norm is l2?
        search_steps: Gradient steps of the search for that; None for a number that suits the size.

    Returns:
        The network and its constants.

    Raises:
        UncertifiableOperation: If a part cannot be in a certificate.
        UnknownLipschitzConstant: If a part has no constant.
    """
    traced = trace(model)
    analysis = analyse(traced, input_shape, tighten=tighten and norm == "l2", search_steps=search_steps)
    network = _Freezer(traced, analysis).network(input_shape)
    return Frozen(network, analysis, analysis if norm == "l2" else analyse(traced, input_shape, norm))


class _Freezer:
    def __init__(self, traced: Traced, analysis: Analysis) -> None:
        self.root, self.graph = traced.root, traced.graph
        self.analysis = analysis
        self.nodes: list[Node] = []
        # The name in the frozen network of every graph node that depends on the input.
        self.names: dict[fx.Node, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def network(self, input_shape: tuple[int, ...]) -> Network:
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.names[node] = INPUT
                self.shapes[INPUT] = input_shape
            elif node.op == "output":
                return Network(input_shape, tuple(self.nodes), self.names[node.args[0]])
            elif node.name in self.analysis.nodes:
                self._append(node, self.analysis.nodes[node.name])
        raise UncertifiableOperation("output", "a graph without output")

    def _append(self, node: fx.Node, facts: NodeFacts) -> None:
        operation = self._operation(node, facts)
        inputs = tuple(self.names[n] for n in node.all_input_nodes if n in self.names)
        if operation is None or not self._keeps_shape(operation, inputs, facts):
            raise UncertifiableOperation(node.name, self._kind(node))
        if operation.op == "identity":
            self.names[node] = inputs[0]
            return
        branch = None if operation.branch is None else freeze(*operation.branch).network
        tensors = {role: _stored(tensor) for role, tensor in operation.tensors.items()}
        # A scale by 2 stands for x + x, whose facts are those of a sum.
        own = abs(operation.attributes["factor"]) if operation.op == "scale" else facts.own.value
        name = node.name
        self.nodes.append(Node(name, operation.op, inputs, operation.attributes, tensors, own, branch))
        self.names[node], self.shapes[name] = name, facts.output_shape

    def _keeps_shape(self, operation: Operation, inputs: tuple[str, ...], facts: NodeFacts) -> bool:
        # Broadcasting copies entries, which the operations of a certificate do not.
        elementwise = operation.op in ("add", "subtract", "shift", "scale")
        return not elementwise or all(self.shapes[name] == facts.output_shape for name in inputs)

    def _operation(self, node: fx.Node, facts: NodeFacts) -> Operation | None:
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            return module_operation(module, facts.input_shape, facts.output_shape)
        exporter = _FUNCTIONS.get(node.target)
        if exporter is None:
            return None
        constants = [self._constant(a) for a in (*node.args, *node.kwargs.values())]
        return exporter(node, facts, constants)

    def _constant(self, argument: Any) -> Any:
        # Numbers and stored tensors among a call's arguments; None for signals and whatever else.
        if isinstance(argument, fx.Node) and argument.op == "get_attr":
            return operator.attrgetter(str(argument.target))(self.root)
        return argument if isinstance(argument, (int, float)) else None

    def _kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.root.get_submodule(str(node.target))).__name__
        return str(getattr(node.target, "__name__", node.target))


def _stored(tensor: Tensor) -> Tensor:
    # Half precision converts exactly to float32, which is what readers of the file understand.
    wide = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    return wide.detach().to("cpu", copy=True).contiguous()


FunctionExporter = Callable[[fx.Node, NodeFacts, list[Any]], Operation | None]


def _reshaped(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation:
    return Operation("reshape", {"shape": list(facts.output_shape)})


def _simple(op: str) -> FunctionExporter:
    return lambda node, facts, constants: Operation(op)


def _add(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation | None:
    if node.kwargs.get("alpha", 1) != 1 or len(node.args) != 2:
        return None
    if all(c is None for c in constants):
        # x + x has one input node; multiplying by 2 says the same.
        return Operation("add") if len(node.all_input_nodes) == 2 else Operation("scale", {"factor": 2.0})
    number = next(c for c in constants if c is not None)
    return Operation("shift", {}, {"value": _full(number, facts.output_shape)})


def _subtract(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation | None:
    if node.kwargs.get("alpha", 1) != 1 or len(node.args) != 2 or constants[0] is not None:
        return None
    if constants[1] is None:
        return Operation("subtract") if len(node.all_input_nodes) == 2 else None
    return Operation("shift", {}, {"value": -_full(constants[1], facts.output_shape)})


def _full(number: Any, shape: tuple[int, ...]) -> Tensor:
    tensor = torch.as_tensor(number, dtype=None if isinstance(number, Tensor) else torch.float64).detach()
    # A stored tensor may carry a batch axis of length 1.
    return tensor.expand(1, *shape)[0] if tensor.dim() > len(shape) else tensor.expand(shape)


def _multiply(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation | None:
    numbers = [c for c in constants if c is not None]
    if len(numbers) != 1 or (isinstance(numbers[0], Tensor) and numbers[0].numel() != 1):
        return None
    return Operation("scale", {"factor": float(numbers[0])})


def _negate(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation:
    return Operation("scale", {"factor": -1.0})


def _concatenate(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation | None:
    parts: Any = node.args[0]
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    if not isinstance(dim, int) or len(parts) != len(node.all_input_nodes):
        return None
    return Operation("concatenate", {"axis": dim % (len(facts.output_shape) + 1) - 1})


def _permute(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation | None:
    order: Any = node.args[1:] if len(node.args) > 2 else node.args[1]
    rank = len(facts.output_shape) + 1
    axes = [axis % rank for axis in order]
    return Operation("permute", {"axes": [a - 1 for a in axes[1:]]}) if axes[0] == 0 else None


def _transpose(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation | None:
    first, second = (c % (len(facts.output_shape) + 1) for c in constants[1:])
    axes = list(range(len(facts.output_shape) + 1))
    axes[first], axes[second] = second, first
    return Operation("permute", {"axes": [a - 1 for a in axes[1:]]}) if axes[0] == 0 else None


def _argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    given = node.args[position] if len(node.args) > position else node.kwargs.get(name)
    return default if given is None else given


def _max_pool(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation | None:
    kernel = pair(_argument(node, 1, "kernel_size", None))
    stride = pair(_argument(node, 2, "stride", kernel))
    padding = pair(_argument(node, 3, "padding", 0))
    if pair(_argument(node, 4, "dilation", 1)) != (1, 1) or _argument(node, 6, "return_indices", False):
        return None
    axes = zip(facts.input_shape[-2:], kernel, stride, padding, facts.output_shape[-2:], strict=True)
    rows, columns = (sliding_ranges(*axis) for axis in axes)
    return window_operation("window_max", rows, columns, ([1.0] * len(rows), [1.0] * len(columns)))


def _adaptive(op: str) -> FunctionExporter:
    def export(node: fx.Node, facts: NodeFacts, constants: list[Any]) -> Operation:
        return adaptive_operation(op, facts.input_shape, facts.output_shape[-2:])

    return export


_FUNCTIONS: dict[Any, FunctionExporter] = (
    dict.fromkeys(("flatten", "reshape", "view", torch.flatten, torch.reshape, "unflatten", "squeeze"), _reshaped)
    | dict.fromkeys(("contiguous", "clone", torch.clone), _simple("identity"))
    | dict.fromkeys((torch.relu, F.relu, "relu", torch.relu_, "relu_"), _simple("relu"))
    | dict.fromkeys((torch.abs, "abs"), _simple("abs"))
    | dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), _add)
    | dict.fromkeys((operator.sub, torch.sub, "sub"), _subtract)
    | dict.fromkeys((operator.mul, operator.imul, torch.mul, "mul"), _multiply)
    | dict.fromkeys((operator.neg, torch.neg, "neg"), _negate)
    | dict.fromkeys((torch.cat, torch.concat), _concatenate)
    | dict.fromkeys(("permute", torch.permute), _permute)
    | dict.fromkeys(("transpose", torch.transpose), _transpose)
    | {F.max_pool2d: _max_pool, F.adaptive_avg_pool2d: _adaptive("window_sum")}
    | {F.adaptive_max_pool2d: _adaptive("window_max")}
)
