"""The affine parts of a network, each with the input shape that it really gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from onelip.layers import ConstrainedModule
from onelip.layers.plain import evaluating
from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.tensor_train import TTConv2d

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_AFFINE = (*_CONVOLUTIONS, nn.Linear, *_NORMS, TTConv2d)


@dataclass(frozen=True, eq=False)
class Part:
    """An affine part of a network.

    Attributes:
        name: Qualified name of its module; of the first and the last, joined by " + ", if there are two.
        module: What it computes: the network's own module, or a `Sequential` of the network's own modules.
        input_shape: Shape of one input, as the network gives it.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Type of its module, or types of its modules joined by " + "."""
        modules = self.module if isinstance(self.module, nn.Sequential) else [self.module]
        return " + ".join(type(module).__name__ for module in modules)


@dataclass(frozen=True, eq=False)
class _Call:
    name: str
    module: nn.Module
    source: Tensor
    output: Tensor


def affine_parts(model: nn.Module, input_shape: tuple[int, ...], *, joint: bool = False) -> tuple[Part, ...]:
    """List the convolutions, dense layers and batch normalisations of a network, in order of execution.

    One forward pass of one zero input, in eval mode, records the shape that each gets; modes, buffers and gradients are
    left as they are. A module that runs at several shapes is listed once for each.

    Args:
        model: Any module that maps `(B, *input_shape)`; it need not be traceable.
        input_shape: Shape of one input, without the batch.
        joint: List a convolution or dense layer whose output goes into a batch normalisation as one part with it.

    Returns:
        The parts that were run: convolutions, dense layers, batch normalisations, also parametrised ones, and this
        library's own affine layers.
    """
    calls = _record(model, input_shape)
    parts: dict[tuple[int, ...], Part] = {}
    for position, call in enumerate(calls):
        previous = _producer(calls[:position], call) if joint and isinstance(call.module, _NORMS) else None
        shape = tuple(call.source.shape[1:])
        part = Part(call.name, call.module, shape)
        if previous is not None:
            shape = tuple(previous.source.shape[1:])
            parts.pop((id(previous.module), *shape), None)
            part = Part(f"{previous.name} + {call.name}", nn.Sequential(previous.module, call.module), shape)
        parts.setdefault((id(call.module), *shape), part)
    return tuple(parts.values())


def _producer(calls: list[_Call], norm: _Call) -> _Call | None:
    for call in reversed(calls):
        if call.output is norm.source:
            return None if isinstance(call.module, _NORMS) else call
    return None


def _record(model: nn.Module, input_shape: tuple[int, ...]) -> list[_Call]:
    calls: list[_Call] = []
    names = {id(module): name for name, module in model.named_modules()}

    def recorder(module: nn.Module) -> Callable[..., None]:
        def record(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            calls.append(_Call(names[id(module)], module, inputs[0], output))

        return record

    handles = [module.register_forward_hook(recorder(module)) for module in _leaves(model)]
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    try:
        with evaluating(model), torch.no_grad():
            model(torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device))
    finally:
        for handle in handles:
            handle.remove()
    return [call for call in calls if isinstance(call.module, _AFFINE) or _is_affine(call)]


def _leaves(model: nn.Module) -> list[nn.Module]:
    inside: set[int] = set()
    leaves = []
    for module in model.modules():
        if id(module) in inside or not isinstance(module, (*_AFFINE, ConstrainedModule)):
            continue
        # What a layer is made of is not listed beside it.
        inside.update(id(child) for child in module.modules())
        leaves.append(module)
    return leaves


def _is_affine(call: _Call) -> bool:
    try:
        AffineMap(cast(nn.Module, call.module), tuple(call.source.shape[1:]))
    except NotAffineError:
        return False
    return any(True for _ in call.module.parameters())
