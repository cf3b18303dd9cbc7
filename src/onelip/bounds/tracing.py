"""Turn a model into a graph of calls whose leaves are modules with a known constant."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx, nn
from typing_extensions import override

from onelip.bounds.errors import UnknownLipschitzConstant
from onelip.bounds.registry import has_module_rule
from onelip.layers import Join, Sum
from onelip.layers.plain import evaluating


class LeafTracer(fx.Tracer):
    """Symbolic tracer that stops at modules with a `lipschitz_bound`, at registered ones and at those of torch.nn."""

    @override
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)


def is_leaf(module: nn.Module) -> bool:
    """Say whether a module is bounded as a whole rather than looked into.

    Args:
        module: Any module.

    Returns:
        True for modules with a `lipschitz_bound`, registered ones and those of torch.nn; False for containers and
        for sums and joins of branches, whose parts are bounded one by one.
    """
    if isinstance(module, (Join, Sum)):
        return False
    if hasattr(module, "lipschitz_bound") or has_module_rule(module):
        return True
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, containers)


@dataclass(frozen=True, eq=False)
class Traced:
    """A model as a graph of calls.

    Attributes:
        root: The model; the graph's module and parameter names are relative to it.
        graph: The calls.
    """

    root: nn.Module
    graph: fx.Graph


def trace(model: nn.Module) -> Traced:
    """Trace a model, as it behaves in eval mode, down to modules and functions with a rule of their own.

    The result shares the model's modules and parameters; nothing is copied, and every mode is left as it was.

    Args:
        model: Any module. A model that is a leaf itself becomes the one call of a graph.

    Returns:
        The graph. Its leaves are the modules that have a `lipschitz_bound`, the registered ones, and all modules of
        torch.nn but for containers.

    Raises:
        UnknownLipschitzConstant: If torch.fx cannot trace it, say because control flow depends on values.
    """
    root = nn.Sequential(model) if is_leaf(model) else model
    with evaluating(model):
        try:
            return Traced(root, LeafTracer().trace(root))
        except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
            reason = f"torch.fx cannot trace its forward ({error})"
            raise UnknownLipschitzConstant("model", type(model).__name__, reason) from error
