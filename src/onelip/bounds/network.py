"""Compose the constants of a network's parts over its graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

# Importing the rules enters them in the registry.
from onelip.bounds import (  # noqa: F401
    activation_rules,
    affine_rules,
    convolution_rules,
    function_rules,
    pooling_functions,
    pooling_rules,
    refusals,
    resize_rules,
)
from onelip.bounds.errors import UnknownLipschitzConstant
from onelip.bounds.network_bound import LayerBound, NetworkBound, Shape
from onelip.bounds.registry import Call, Norm, Operand, Refused, call_rule, checked_norm, module_bound, plain
from onelip.bounds.segments import Segment, tightened_segments
from onelip.bounds.tracing import Traced, trace
from onelip.layers.plain import evaluating
from onelip.linalg import EXACT_ONE, Bound, full_precision

_SIZE_QUERIES = frozenset({"size", "dim", "numel", "shape", "ndim", "dtype", "device", "stride"})


@dataclass(frozen=True)
class NodeFacts:
    """What is known of one node of a graph that depends on the input.

    Attributes:
        own: Constant of the node alone; of the whole up to it for sums and concatenations.
        cumulative: Constant from the network's input to it.
        input_shape: Shape of one sample of its first input.
        output_shape: Shape of one sample of its output; () if it is not one tensor.
        call: How it was called; tensors that depend on the input have the right shape and type, but no numbers.
    """

    own: Bound
    cumulative: Bound
    input_shape: Shape
    output_shape: Shape
    call: Call | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Analysis:
    """A network's constant, and the facts about each node by its name.

    Attributes:
        total: The constant.
        nodes: Facts by node name, for nodes that depend on the input.
        segments: Runs of dense layers whose constant as a whole is below the product.
    """

    total: NetworkBound
    nodes: dict[str, NodeFacts]
    segments: tuple[Segment, ...] = ()


def lipschitz_bound(
    model: nn.Module,
    input_shape: Iterable[int],
    *,
    norm: Norm = "l2",
    size_free: bool = False,
    search_steps: int | None = None,
) -> NetworkBound:
    """Bound the Lipschitz constant of a network as it behaves in eval mode, for inputs of one shape.

    Constants are composed over the network's graph: a chain multiplies, a sum adds the constants of its summands as
    functions of the network's input, a concatenation takes the root of the sum of their squares, or the largest in
    l_inf; every operation rounds up. Beside that, in l2, each run of two `nn.Linear` or more with activations between
    is bounded as a whole, which gives `tightened` where it is smaller. The model keeps its mode and its state.

    Args:
        model: Any module that torch.fx can trace.
        input_shape: Shape of one input sample, without the batch axis, such as (3, 32, 32).
        norm: "l2" or "linf", in which both input and output are measured. In l_inf layers with a `linf_bound` count as
            that, dense layers and convolutions as their largest row sum; layers of other methods have no rule there.
        size_free: Bound torch's convolutions for images of every size at once, which is faster and often looser; by
            default, at the sizes that they have for this input. With reflected or replicated pixels, for every size
            at which a pixel is copied as often as at this one.
        search_steps: Gradient steps towards the smallest tightened constant; 0 for a closed form, None for as many as
            take a second or two.

    Returns:
        The constant with one row for each part.

    Raises:
        UnknownLipschitzConstant: If a part has no rule, or has no finite constant.
        ValueError: If `input_shape` is not a sequence of positive integers, `norm` is unknown, `search_steps` is
            negative, or a weight is NaN or infinite.
    """
    shape = tuple(input_shape)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
        raise ValueError(f"input_shape={shape} in lipschitz_bound must hold positive integers, without the batch axis")
    if search_steps is not None and search_steps < 0:
        raise ValueError(f"search_steps={search_steps} in lipschitz_bound must be at least 0")
    kind = checked_norm(norm, "lipschitz_bound")
    return analyse(trace(model), shape, kind, size_free=size_free, tighten=True, search_steps=search_steps).total


def analyse(
    traced: Traced,
    input_shape: Shape,
    norm: Norm = "l2",
    *,
    size_free: bool = False,
    tighten: bool = False,
    search_steps: int | None = None,
) -> Analysis:
    """Bound a traced network and keep what is known of each of its nodes.

    Args:
        traced: What `trace` returned.
        input_shape: Shape of one input sample.
        norm: In which input and output are measured.
        size_free: Bound convolutions for images of every size?
        tighten: Bound runs of dense layers as a whole too? In l2 only.
        search_steps: Gradient steps of the search for that; None for a number that suits the size.

    Returns:
        The constant of the network and the facts about its nodes.

    Raises:
        UnknownLipschitzConstant: If a part has no rule, or has no finite constant.
    """
    with evaluating(traced.root), torch.no_grad(), full_precision():
        sample = _sample(traced.root, input_shape)
        propagation = _Propagation(traced, norm, size_free)
        propagation.run(sample)
        total = propagation.output
        if total is None:
            raise UnknownLipschitzConstant(
                "output", "network", "its output is not one tensor that depends on the input"
            )
        segments = propagation.segments(search_steps) if tighten and norm == "l2" else ()
        shorter = propagation.with_shortcuts(segments, sample) if segments else propagation
    estimates = [layer.name for layer in propagation.rows if not layer.bound.proved]
    method = "product over the graph" if not estimates else "contains estimates: " + ", ".join(estimates)
    bound, tightened = Bound(total.value, total.proved, method), shorter.output
    if tightened is not None:
        tightened = Bound(tightened.value, tightened.proved, "ellipsoids" if total.proved else method)
        tightened = tightened if tightened.value < total.value else None
    network = NetworkBound(bound, tuple(propagation.rows), input_shape, norm, tightened)
    return Analysis(network, propagation.facts, segments)


def _sample(model: nn.Module, shape: Shape) -> Tensor:
    tensors = [*model.parameters(), *model.buffers()]
    floating = [t for t in tensors if t.is_floating_point()]
    if not floating:
        return torch.zeros(1, *shape)
    return torch.zeros(1, *shape, device=floating[0].device, dtype=floating[0].dtype)


class _Propagation:
    """Run one sample of zeros through the graph, for the shapes, and carry the constant of every value along."""

    def __init__(self, traced: Traced, norm: Norm, size_free: bool, shortcuts: tuple[Segment, ...] = ()) -> None:
        self.norm, self.size_free = norm, size_free
        self.traced, self.module, self.graph = traced, traced.root, traced.graph
        self.rows: list[LayerBound] = []
        self.facts: dict[str, NodeFacts] = {}
        self.output: Bound | None = None
        self._values: dict[fx.Node, Operand] = {}
        self._own: dict[tuple[int, Shape], Bound] = {}
        self._shortcuts = {segment.nodes[-1]: segment for segment in shortcuts}

    def segments(self, search_steps: int | None) -> tuple[Segment, ...]:
        shapes = {name: (facts.input_shape, facts.output_shape) for name, facts in self.facts.items()}
        own = {name: facts.own for name, facts in self.facts.items()}
        return tightened_segments(self.module, self.graph, shapes, own, search_steps)

    def with_shortcuts(self, segments: tuple[Segment, ...], sample: Tensor) -> _Propagation:
        other = _Propagation(self.traced, self.norm, self.size_free, segments)
        # Constants of modules are not proved twice.
        other._own = self._own
        other.run(sample)
        return other

    def run(self, sample: Tensor) -> None:
        for node in self.graph.nodes:
            args, kwargs = _resolve(node.args, self._values), _resolve(node.kwargs, self._values)
            if node.op == "output":
                result = args[0]
                self.output = result.bound if isinstance(result, Operand) and _is_tensor(result.value) else None
                return
            self._values[node] = self._step(node, args, kwargs, sample)
            for done in node.all_input_nodes:
                if all(user in self._values for user in done.users):
                    # Frees the memory; only whether a placeholder was seen still matters.
                    self._values[done] = Operand(None, None)

    def _step(self, node: fx.Node, args: Any, kwargs: Any, sample: Tensor) -> Operand:
        if node.op == "placeholder":
            if any(other.op == "placeholder" for other in self._values):
                raise UnknownLipschitzConstant(node.name, "second input", "only networks of one input are bounded")
            return Operand(sample, EXACT_ONE)
        if node.op == "get_attr":
            return Operand(operator.attrgetter(str(node.target))(self.module), None)
        self._check_module(node, Call(args, kwargs, None))
        versions = self._versions()
        result = self._execute(node, plain(args), plain(kwargs))
        self._check_unchanged(node, versions)
        return Operand(result, self._bound(node, Call(args, kwargs, result)))

    def _versions(self) -> dict[fx.Node, int]:
        values = ((node, operand.value) for node, operand in self._values.items())
        return {node: value._version for node, value in values if isinstance(value, Tensor)}

    def _check_unchanged(self, node: fx.Node, before: dict[fx.Node, int]) -> None:
        # Views share the version of what they look into, so this sees a change through any of them.
        after = self._versions()
        for other, version in before.items():
            if after[other] != version and any(u is not node and u not in self._values for u in other.users):
                reason = f"it changes {other.name!r} in place, which is used again later"
                raise UnknownLipschitzConstant(_name(node), self._kind(node), reason)

    def _check_module(self, node: fx.Node, call: Call) -> None:
        # Modules are bounded before they run: some refuse the one sample that is run here, with an error of their own.
        if node.op == "call_module" and call.signals():
            try:
                self._own_bound(node, call)
            except Refused as refusal:
                raise UnknownLipschitzConstant(_name(node), self._kind(node), str(refusal)) from refusal

    def _execute(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        if node.op == "call_module":
            return self.module.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        function: Any = node.target
        return function(*args, **kwargs)

    def _bound(self, node: fx.Node, call: Call) -> Bound | None:
        signals = call.signals()
        if not signals or _queries_size(node):
            return None
        kind = self._kind(node)
        try:
            bound = self._of_module(node, call) if node.op == "call_module" else self._of_call(node, call)
        except Refused as refusal:
            raise UnknownLipschitzConstant(_name(node), kind, str(refusal)) from refusal
        if isinstance(call.result, Tensor) and not call.result.is_floating_point():
            raise UnknownLipschitzConstant(node.name, kind, f"its result of {call.result.dtype} is not continuous")
        return bound

    def _own_bound(self, node: fx.Node, call: Call) -> Bound:
        module = self.module.get_submodule(str(node.target))
        if len(call.args) + len(call.kwargs) > 1:
            raise Refused("it is called with more than its input, which may change what it computes")
        key = id(module), tuple(call.only_signal()[0].shape[1:])
        if key not in self._own:
            own = module_bound(module, key[1], self.norm, self.size_free)
            if own is None:
                raise self._unknown(str(node.target), type(module).__name__)
            if _foreign_hooks(module):
                raise Refused("it has forward hooks, which may change what it computes")
            self._own[key] = own
        return self._own[key]

    def _of_module(self, node: fx.Node, call: Call) -> Bound:
        own = self._own_bound(node, call)
        total = self._shortened(node, call.only_signal()[1].then(own))
        self._record(node, own, total, call)
        self._add_row(node)
        return total

    def _of_call(self, node: fx.Node, call: Call) -> Bound:
        rule = call_rule(node.target, self.norm, self.size_free)
        if rule is None:
            raise self._unknown(node.name, self._kind(node))
        total = rule(call)
        joins = len(call.signals()) > 1
        own = total if joins else _ratio(call, rule)
        total = self._shortened(node, total)
        self._record(node, own, total, call)
        if joins or own.value != 1.0:
            self._add_row(node)
        return total

    def _unknown(self, name: str, kind: str) -> UnknownLipschitzConstant:
        reason = None if self.norm == "l2" else "it is not in the table of known constants in l_inf"
        return UnknownLipschitzConstant(name, kind, reason, self.norm)

    def _shortened(self, node: fx.Node, total: Bound) -> Bound:
        segment = self._shortcuts.get(node.name)
        if segment is None:
            return total
        before = EXACT_ONE if segment.source is None else self.facts[segment.source].cumulative
        return min(total, before.then(segment.bound), key=lambda bound: bound.value)

    def _record(self, node: fx.Node, own: Bound, total: Bound, call: Call) -> None:
        value = call.signals()[0].value
        shapes = [tuple(v.shape[1:]) if isinstance(v, Tensor) else () for v in (value, call.result)]
        known: dict[int, Operand] = {}
        light = Call(_light(call.args, known), _light(call.kwargs, known), _hollow(call.result))
        self.facts[node.name] = NodeFacts(own, total, shapes[0], shapes[1], light)

    def _add_row(self, node: fx.Node) -> None:
        facts = self.facts[node.name]
        shapes = facts.input_shape, facts.output_shape
        self.rows.append(LayerBound(_name(node), self._kind(node), facts.own, facts.cumulative, *shapes))

    def _kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.module.get_submodule(str(node.target))).__name__
        return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _name(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name


def _hollow(value: Any) -> Any:
    # The shape of a tensor without the memory.
    if isinstance(value, Tensor):
        return value.new_zeros(()).expand(value.shape)
    return tuple(map(_hollow, value)) if isinstance(value, (list, tuple)) else value


def _light(value: Any, known: dict[int, Operand]) -> Any:
    # One signal that is passed twice stays one.
    if isinstance(value, Operand):
        if value.bound is not None and id(value) not in known:
            known[id(value)] = Operand(_hollow(value.value), value.bound)
        return known.get(id(value), value)
    if isinstance(value, dict):
        return {key: _light(v, known) for key, v in value.items()}
    return tuple(_light(v, known) for v in value) if isinstance(value, (list, tuple)) else value


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _resolve(arguments: Any, values: dict[fx.Node, Operand]) -> Any:
    if isinstance(arguments, fx.Node):
        return values[arguments]
    if isinstance(arguments, slice):
        parts = (arguments.start, arguments.stop, arguments.step)
        return slice(*(plain(_resolve(part, values)) for part in parts))
    if isinstance(arguments, dict):
        return {key: _resolve(value, values) for key, value in arguments.items()}
    if isinstance(arguments, (list, tuple)):
        return tuple(_resolve(value, values) for value in arguments)
    return arguments


def _ratio(call: Call, rule: Callable[[Call], Bound]) -> Bound:
    # The constant of the call alone: what the rule says if its signal is the network's input.
    def fresh(value: Any) -> Any:
        if isinstance(value, Operand):
            return Operand(value.value, None if value.bound is None else EXACT_ONE)
        if isinstance(value, (list, tuple)):
            return type(value)(fresh(v) for v in value)
        return value

    return rule(Call(fresh(call.args), {k: fresh(v) for k, v in call.kwargs.items()}, call.result))


def _queries_size(node: fx.Node) -> bool:
    name = node.args[1] if node.target is getattr and len(node.args) > 1 else node.target
    return isinstance(name, str) and name in _SIZE_QUERIES and (node.op == "call_method" or node.target is getattr)


def _foreign_hooks(module: nn.Module) -> bool:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(not type(hook).__module__.startswith("torch.nn.utils") for hook in hooks)
