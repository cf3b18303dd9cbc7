"""Freeze a model of plain modules into the operations and stored numbers that a certificate is about."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor, fx, nn

from onelip.bounds.network import Analysis, NodeFacts, analyse
from onelip.bounds.registry import Norm
from onelip.bounds.tracing import Traced, trace
from onelip.certify import (  # noqa: F401  (each enters how some modules and functions are described)
    export_activations,
    export_arithmetic,
    export_convolutions,
    export_copies,
    export_pooling,
    export_resizing,
)
from onelip.certify.export_copies import part_operation
from onelip.certify.export_functions import function_operation
from onelip.certify.export_modules import Operation, module_operation, supported_modules
from onelip.certify.forward import output_shape
from onelip.certify.records import INPUT, Network, Node
from onelip.linalg import EXACT_ONE, Bound

_ELEMENTWISE = ("add", "subtract", "maximum", "minimum", "shift")


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
    freezer = _Freezer(traced, analysis)
    network = freezer.network(input_shape)
    # Steps on the way to a node of the graph have facts too.
    analysis = replace(analysis, nodes=freezer.facts)
    return Frozen(network, analysis, analysis if norm == "l2" else analyse(traced, input_shape, norm))


class _Freezer:
    def __init__(self, traced: Traced, analysis: Analysis) -> None:
        self.root, self.graph = traced.root, traced.graph
        self.analysis = analysis
        self.nodes: list[Node] = []
        # The name in the frozen network of every graph node that depends on the input.
        self.names: dict[fx.Node, str] = {}
        self.tuples: dict[fx.Node, NodeFacts] = {}
        self.facts: dict[str, NodeFacts] = {}
        self.parts = 0

    def network(self, input_shape: tuple[int, ...]) -> Network:
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.names[node] = INPUT
                self.facts[INPUT] = NodeFacts(EXACT_ONE, EXACT_ONE, input_shape, input_shape)
            elif node.op == "output":
                return Network(input_shape, tuple(self.nodes), self.names[node.args[0]])
            elif node.name in self.analysis.nodes:
                self._append(node, self.analysis.nodes[node.name])
        raise UncertifiableOperation("output", "a graph without output")

    def _append(self, node: fx.Node, facts: NodeFacts) -> None:
        if facts.call is not None and isinstance(facts.call.result, tuple):
            # Its parts are taken out later, each by an operation of its own.
            self.tuples[node] = facts
            return
        operation = self._operation(node, facts)
        if operation is None:
            raise UncertifiableOperation(node.name, self._kind(node))
        signals = self._signals(node)
        if operation.op == "identity" and operation.sources is None:
            self.names[node] = signals[0]
            return
        self.names[node] = self._emit(operation, node.name, signals, facts)

    def _signals(self, node: fx.Node) -> list[str]:
        # With repetitions, in the order of the arguments.
        found: list[str] = []
        for source in _graph_nodes((node.args, node.kwargs)):
            if source in self.tuples:
                found += self._signals(source)
            elif source in self.names:
                found.append(self.names[source])
        return found

    def _emit(self, operation: Operation, name: str, signals: list[str], facts: NodeFacts) -> str:
        sources: tuple[Operation | int, ...] = operation.sources or tuple(range(len(signals)))
        inputs = []
        for source in sources:
            if isinstance(source, int):
                inputs.append(signals[source])
            else:
                # Steps on the way to a graph node are named after it.
                self.parts += 1
                inputs.append(self._emit(source, f"{name.partition('~')[0]}~{self.parts}", signals, facts))
        constant = facts.own.value if operation.constant is None else operation.constant
        branch = None if operation.branch is None else freeze(*operation.branch).network
        tensors = {role: _stored(tensor) for role, tensor in operation.tensors.items()}
        node = Node(name, operation.op, tuple(inputs), operation.attributes, tensors, constant, branch)
        before = [self.facts[i] for i in inputs]
        if "~" in name:
            shape = output_shape(node, [f.output_shape for f in before])
            own = Bound(constant, facts.own.proved, "step")
            total = reduce(Bound.plus, [f.cumulative for f in before]).then(own)
            self.facts[name] = NodeFacts(own, total, before[0].output_shape, shape)
        else:
            self.facts[name] = replace(facts, call=None, input_shape=before[0].output_shape)
        if operation.op in _ELEMENTWISE and any(f.output_shape != facts.output_shape for f in before):
            # Broadcasting copies entries, which these operations do not.
            raise UncertifiableOperation(name, operation.op)
        self.nodes.append(node)
        return name

    def _operation(self, node: fx.Node, facts: NodeFacts) -> Operation | None:
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            return module_operation(module, facts.input_shape, facts.output_shape)
        source = node.args[0] if node.args else None
        if node.target in (operator.getitem, getattr) and isinstance(source, fx.Node) and source in self.tuples:
            return part_operation(source.target, self.tuples[source], node.args[1])
        return function_operation(node.target, facts)

    def _kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.root.get_submodule(str(node.target))).__name__
        return str(getattr(node.target, "__name__", node.target))


def _stored(tensor: Tensor) -> Tensor:
    # Half precision converts exactly to float32, which is what readers of the file understand.
    wide = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    return wide.detach().to("cpu", copy=True).contiguous()


def _graph_nodes(arguments: Any) -> Iterator[fx.Node]:
    if isinstance(arguments, fx.Node):
        yield arguments
    elif isinstance(arguments, dict):
        yield from _graph_nodes(tuple(arguments.values()))
    elif isinstance(arguments, (list, tuple)):
        for argument in arguments:
            yield from _graph_nodes(argument)
