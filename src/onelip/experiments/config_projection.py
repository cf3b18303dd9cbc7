"""The section `projection` of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import PositiveFloat, PositiveInt, model_validator

from onelip.experiments.config_section import Section

if TYPE_CHECKING:
    from onelip.tasks import Projection as ProjectionCallback


class Projection(Section):
    """Project the weights of ordinary layers in the course of the training, see `onelip.tasks.Projection`.

    `kind` is "l2", "l2-ball", "l-infinity", "l-infinity-scaled" or "parseval" for ordinary layers, "svcm" for layers of
    that method. It happens after each `n`-th step of the optimiser, or at the begin of each `n`-th epoch, and after the
    last step.
    """

    kind: Literal["l2", "l2-ball", "l-infinity", "l-infinity-scaled", "parseval", "svcm"]
    every: Literal["step", "epoch"] = "step"
    n: PositiveInt = 1
    iterations: PositiveInt | None = None
    beta: PositiveFloat | None = None
    max_norm: PositiveFloat = 1.0
    reset_optimizer: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.callback()
        return self

    def callback(self) -> ProjectionCallback:
        """Make what projects.

        Returns:
            The callback.
        """
        # Lightning is not loaded by those who only read a configuration.
        from onelip.tasks import Projection as ProjectionCallback

        return ProjectionCallback(**self.model_dump())
