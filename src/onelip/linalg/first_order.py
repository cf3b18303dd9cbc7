"""A guard for maps whose derivative is right only once: to differentiate it again is an error, not a wrong number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Refuse(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(gradient: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise RuntimeError(
            "second derivatives through the constraint of a Cayley, LOT or Sandwich convolution are not available; "
            "take gradients of its raw parameters once, or use an explicit method such as 'aoc'"
        )


class _Once(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        refused: Tensor = _Refuse.apply(gradient) if gradient.requires_grad else gradient
        return refused


def differentiable_once(x: Tensor) -> Tensor:
    """Return the tensor, and make it an error to differentiate a gradient with respect to it.

    Gradients of a loss that itself contains derivatives with respect to the network's *input* are first derivatives
    here, and stay available.

    Args:
        x: What a map with a hand-made derivative is about to be applied to.

    Returns:
        The same values.
    """
    guarded: Tensor = _Once.apply(x)
    return guarded
