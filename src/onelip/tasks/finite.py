"""Numbers that are not finite, caught before they reach a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class NonFiniteError(ArithmeticError):
    """A number of a training became NaN or infinite.

    Args:
        what: Says which, such as "the loss is nan".
        epoch: Counted from 0.
        batch: Its number in the epoch; None in validation.
    """

    def __init__(self, what: str, epoch: int, batch: int | None) -> None:
        where = f"in epoch {epoch}, " + ("validation" if batch is None else f"batch {batch}")
        super().__init__(f"{what} {where}; lower the learning rate or clip the gradient")
        self.epoch = epoch
        self.batch = batch


class NonFiniteLossError(NonFiniteError):
    """The loss became NaN or infinite."""

    def __init__(self, epoch: int, batch: int | None, loss: float) -> None:
        super().__init__(f"the loss is {loss}", epoch, batch)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Ask whether every entry is finite, with one wait for the device.

    Args:
        tensors: Floating point.

    Returns:
        False if the root of the sum of all squares is NaN or infinite, which also says no to entries whose squares
        overflow.
    """
    chosen = list(tensors)
    return not chosen or bool(torch.isfinite(nn.utils.get_total_norm(chosen)))


def blame(model: nn.Module, epoch: int, batch: int) -> NonFiniteError:
    """Make the error that names the first parameter, or else the first gradient, that is not finite.

    Args:
        model: Whose parameters.
        epoch: Counted from 0.
        batch: Its number in the epoch.

    Returns:
        The error, to be raised.
    """
    for kind in ("parameter", "gradient of"):
        for name, parameter in model.named_parameters():
            tensor = parameter if kind == "parameter" else parameter.grad
            if tensor is not None and not all_finite([tensor.detach()]):
                return NonFiniteError(f"the {kind} {name} is not finite", epoch, batch)
    return NonFiniteError("the norm of all parameters and gradients overflows", epoch, batch)
