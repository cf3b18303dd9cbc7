"""What each function and tensor method computes, as an operation of a frozen network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Call, Operand
from onelip.certify.export_modules import Operation

FunctionExporter = Callable[[Call, NodeFacts], Operation | None]
"""From the call, whose signals have shapes but no numbers, and what is known of it."""

_EXPORTERS: dict[Any, FunctionExporter] = {}


def register_function(exporter: FunctionExporter, *targets: Any) -> None:
    """Say how to describe calls of some functions (objects) and tensor methods (names).

    Args:
        exporter: From a call to its operation, or to None where a certificate cannot hold it.
        *targets: Functions and names of methods.
    """
    _EXPORTERS.update(dict.fromkeys(targets, exporter))


def function_operation(target: Any, facts: NodeFacts) -> Operation | None:
    """Describe a call of a function or tensor method.

    Args:
        target: The function, or the name of the method.
        facts: What is known of the call.

    Returns:
        The operation, or None if a certificate cannot hold it.
    """
    exporter = _EXPORTERS.get(target)
    return None if exporter is None or facts.call is None else exporter(facts.call, facts)


def tensors_of(roles: dict[str, Tensor | None]) -> dict[str, Tensor]:
    """Leave out the tensors that a call does not have.

    Args:
        roles: Tensors by role, or None.

    Returns:
        Those that are there.
    """
    return {role: tensor for role, tensor in roles.items() if tensor is not None}


def is_signal(value: Any) -> bool:
    """Say whether an argument depends on the network's input.

    Args:
        value: An argument of a call.

    Returns:
        True if it does.
    """
    return isinstance(value, Operand) and value.bound is not None
