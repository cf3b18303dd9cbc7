"""Methods that keep norms small during training, by their published names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from onelip.registry import Registry
from onelip.spectral.gouk import Gouk
from onelip.spectral.training_method import TrainingMethod
from onelip.spectral.weighted_parts import checked_norm

BatchNormMode = Literal["keep", "clip", "joint"]

_REGISTRY: Registry[TrainingMethod] = Registry("training method", supplied=("model", "input_shape", "max_norm"))
available = _REGISTRY.available


def training_method(
    name: str,
    model: nn.Module,
    input_shape: tuple[int, ...],
    max_norm: float = 1.0,
    *,
    batch_norm: BatchNormMode = "keep",
    **options: Any,
) -> TrainingMethod:
    """Make a method that keeps the norms of a network's convolutions and dense layers small, for any training loop.

    Args:
        name: A name from `available()`: "fastclip", "gouk", "miyato", "senderovich", "delattre" or "none".
        model: The network.
        input_shape: Shape of one input, without the batch.
        max_norm: Largest norm, > 0.
        batch_norm: "keep" leaves batch normalisations alone.
        **options: The method's own.

    Returns:
        The method: add its `penalty()`, if any, to the loss, and call its `step()` after each step of the optimiser.

    Raises:
        ValueError: If a name is unknown, an option is not one of the method, or a value is out of range.
    """
    part = _REGISTRY.part(name, options)
    if batch_norm != "keep":
        raise ValueError(f"batch_norm={batch_norm!r} for training method {name!r} must be 'keep'")
    return part.factory(model, input_shape, max_norm, **options)


class Unclipped:
    """Leaves a network as it is; what the other methods are compared with.

    Args:
        model: Any network.
        input_shape: Shape of one input, without the batch.
        max_norm: Checked, else without effect.

    Raises:
        ValueError: If `max_norm` is not positive.
    """

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...], max_norm: float = 1.0) -> None:
        del model, input_shape
        checked_norm("none", max_norm)

    def penalty(self) -> None:
        """Add nothing to the loss."""

    def step(self) -> None:
        """Do nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Give nothing.

        Returns:
            An empty dictionary.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Args:
            state: An empty dictionary.
        """


_REGISTRY.register("gouk")(Gouk)
_REGISTRY.register("none")(Unclipped)
