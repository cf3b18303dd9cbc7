"""What only the graph of a network tells: channels at an activation, branches that are added, functions called."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from onelip.bounds import UnknownLipschitzConstant, trace
from onelip.bounds.tracing import Traced
from onelip.swap.outcome import Left


@dataclass(frozen=True)
class Site:
    """A place where an activation is applied.

    Attributes:
        channels: How many there are; None where the graph does not tell.
        dim: Axis of the channels.
    """

    channels: int | None
    dim: int


_SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_STACKS = {torch.cat, torch.concat, torch.concatenate, torch.stack, torch.hstack}
_RECTIFIERS = {
    F.relu, F.relu_, F.relu6, F.leaky_relu, F.elu, F.celu, F.selu, F.gelu, F.silu, F.mish, F.hardswish,
    torch.relu, torch.relu_, "relu", "relu_",
}  # fmt: skip
_WEIGHTED = {F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, torch.conv1d, torch.conv2d}
_PASS_ON = (
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d,
    nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip


def traced(model: nn.Module) -> Traced | None:
    """Trace a network if torch.fx can.

    Args:
        model: Any module.

    Returns:
        Its graph, or None.
    """
    try:
        return trace(model)
    except UnknownLipschitzConstant:
        return None


def sites(graph: Traced | None, activations: tuple[type[nn.Module], ...]) -> dict[int, list[Site]]:
    """Find where activations are applied, and to how many channels.

    Args:
        graph: The network's graph, if there is one.
        activations: Their classes.

    Returns:
        For each activation module, by id, the places where it is called.
    """
    found: dict[int, list[Site]] = {}
    if graph is None:
        return found
    passed = (*_PASS_ON, *activations)
    for node in graph.graph.nodes:
        if node.op == "call_module" and node.all_input_nodes:
            module = graph.root.get_submodule(str(node.target))
            if isinstance(module, activations):
                found.setdefault(id(module), []).append(_site(graph.root, node.all_input_nodes[0], passed))
    return found


def _site(root: nn.Module, node: fx.Node, passed: tuple[type[nn.Module], ...]) -> Site:
    # The last module upstream that says how many channels it has.
    while node.op in ("call_module", "call_function", "call_method") and node.all_input_nodes:
        if node.op == "call_module":
            module: Any = root.get_submodule(str(node.target))
            if isinstance(module, nn.Linear):
                return Site(module.out_features, -1)
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)):
                return Site(module.out_channels, 1)
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                return Site(module.num_features, 1)
            if not isinstance(module, passed):
                break
        elif node.target not in _SUMS | _RECTIFIERS:
            break
        node = node.all_input_nodes[0]
    return Site(None, 1)


def remarks(graph: Traced | None, model: nn.Module, activation: str | None) -> Iterator[Left]:
    """List what the forward methods of a network do that replacing modules cannot change.

    Args:
        graph: The rebuilt network's graph, if there is one.
        model: The network.
        activation: The activation asked for.

    Yields:
        One entry for each operation.
    """
    if graph is None:
        yield Left(
            "",
            type(model).__name__,
            "torch.fx cannot trace its forward method, so sums of branches and functions called there are not listed, "
            "and lipschitz_bound refuses it",
            "a forward method whose control flow does not depend on values",
        )
        return
    for node in graph.graph.nodes:
        entry = _remark(node, activation)
        if entry is not None:
            yield entry


def _remark(node: fx.Node, activation: str | None) -> Left | None:
    if node.op not in ("call_function", "call_method"):
        return None
    kind = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    signals = [n for n in node.all_input_nodes if n.op != "get_attr"]
    if node.target in _SUMS and len(signals) > 1:
        instead = "layers.PrescaledResidual or layers.AdditiveResidual around the branch, of constant 1 if L <= 1"
        return Left(node.name, kind, "the constants of what it adds add up: x + f(x) has 1 + L", instead)
    if node.target in _STACKS and len(signals) > 1:
        instead = "layers.ConcatResidual, which splits the channels, of constant max(1, L)"
        return Left(node.name, kind, "joins branches: (x, f(x)) has constant sqrt(1 + L^2)", instead)
    if node.target in _WEIGHTED:
        problem = "applies weights that belong to no module of their own, so they are not constrained"
        return Left(node.name, kind, problem, "a module such as nn.Conv2d or nn.Linear, which can be replaced")
    if node.target in _RECTIFIERS and activation is not None:
        problem = f"is called as a function, so {activation!r} could not take its place"
        return Left(node.name, kind, problem, f"layers.activation({activation!r}, channels) as a module")
    return None
