"""What a method that keeps norms small during training consists of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor


class TrainingMethod(Protocol):
    """Keeps the norms of a network's affine parts small while any loop trains it.

    The loop adds `penalty()` to the loss, if there is one, and calls `step()` after each step of the optimiser.
    """

    def penalty(self) -> Tensor | None:
        """Give what the loss is to be increased by.

        Returns:
            A scalar with gradients; None for methods without a penalty.
        """

    def step(self) -> Mapping[str, float] | None:
        """Do what the method does after a step of the optimiser.

        Returns:
            The norms of the parts after it, by name, if they were measured at this step.
        """

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed training needs to go on to the same numbers.

        Returns:
            Plain values and tensors.
        """

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state.

        Args:
            state: What `state_dict` gave.
        """
