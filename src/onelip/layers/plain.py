"""Verbs on a whole model: rebuild it of plain modules, retract or project its parameters, put it into eval mode."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from onelip.layers.constrained import ConstrainedModule


def to_plain(model: nn.Module) -> nn.Module:
    """Build the same function of plain modules: no parametrisation, no constraint code, in eval mode.

    Every layer of this library is replaced by its `to_plain()`, whose weight was built in float64 and rounded once;
    other modules are copied. A module used in several places stays one module. The model itself is left alone.

    Args:
        model: Any module.

    Returns:
        A new module with its own weights.
    """
    converted: dict[int, nn.Module] = {}

    def convert(module: nn.Module) -> nn.Module:
        if id(module) not in converted:
            converted[id(module)] = module.to_plain() if isinstance(module, ConstrainedModule) else rebuild(module)
        return converted[id(module)]

    def rebuild(module: nn.Module) -> nn.Module:
        # Children go in through the memo, so that deepcopy copies this module's own state alone.
        memo = {id(child): convert(child) for child in module.children()}
        return copy.deepcopy(module, memo)

    return convert(model).eval()


def retract_(model: nn.Module) -> None:
    """Move the raw parameters of every constrained layer onto its constraint set, function unchanged.

    Called after each optimiser step, it spares the next forward pass most of its iterations. Correctness never
    depends on it.

    Args:
        model: Any module; changed in place.
    """
    for module in model.modules():
        if isinstance(module, ConstrainedModule):
            module.retract_()


def project_(model: nn.Module) -> int:
    """Run the projections of the methods that have one, such as SVCM and Parseval, on every layer of a model.

    It changes the function; the layers are as short before as after. Others are left alone.

    Args:
        model: Any module; changed in place.

    Returns:
        The number of steps taken, over all layers.
    """
    return sum(module.project_() for module in model.modules() if isinstance(module, ConstrainedModule))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module into eval mode inside the block and restore each one's own mode afterwards.

    Args:
        model: Any module.

    Yields:
        Nothing.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
