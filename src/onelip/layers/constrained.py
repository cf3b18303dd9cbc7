"""What every layer with a known constant offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from onelip.linalg import Bound


class ConstrainedModule(nn.Module, ABC):
    """A module whose Lipschitz constant in the l2 norm is known.

    Attributes:
        orthogonal: Does this layer keep every singular value at 1, under the padding its class documents?
        projection_period: After how many optimiser steps a training calls `project_`; 0 where the method has none.
    """

    orthogonal: bool = False
    projection_period: ClassVar[int] = 0

    @abstractmethod
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        """Prove an upper bound of the Lipschitz constant with the weights it would use in eval right now.

        Args:
            input_shape: Shape of one input without the batch axis, for layers whose bound depends on it.

        Returns:
            The bound, proved in float64 with every rounding error included.
        """

    @abstractmethod
    def to_plain(self) -> nn.Module:
        """Build the same function of plain modules, with no constraint code.

        Returns:
            A module with its own copy of the weights, in eval mode.
        """

    def retract_(self) -> None:
        """Move the raw parameters onto the constraint set, where that leaves the function as it is.

        Called after an optimiser step, it spares the next forward pass most of its iterations. Correctness never
        depends on it.
        """

    def project_(self) -> int:
        """Move the raw parameters towards the constraint set by the method's own projection, where it has one.

        For methods that train an ordinary weight and put it back onto their set every so many optimiser steps. It
        changes the function, unlike `retract_`. The layer is as short before as after.

        Returns:
            The number of steps taken; 0 where the method has no projection.
        """
        return 0
