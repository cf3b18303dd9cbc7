"""The section `relaxation` of a configuration: training against the worst case that a linear relaxation leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from onelip.experiments.config_section import Section, from_fractions

if TYPE_CHECKING:
    from onelip.tasks import RelaxationObjective


# A ramp is kept as it is for the resolved configuration.
Ends = Annotated[float | dict[str, Any], BeforeValidator(from_fractions)]


class RelaxationTraining(Section):
    """Train on the worst logits of balls around the images, see `onelip.tasks.RelaxationObjective`.

    `radius` is in units of pixels in [0, 1]; it and `weight`, the part of the loss that is that of the worst logits,
    may be ramps and had better begin at 0. Certify such a network with `certify.relaxation`.
    """

    radius: Ends
    norm: Literal["l2", "linf"] = "linf"
    method: Literal["ibp", "crown-ibp", "kw"] = "crown-ibp"
    weight: Ends = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.objective()
        return self

    def objective(self) -> RelaxationObjective:
        """Make what is minimised.

        Returns:
            The objective.
        """
        # Lightning is not loaded by those who only read a configuration.
        from onelip.tasks import RelaxationObjective

        return RelaxationObjective(radius=self.radius, norm=self.norm, method=self.method, weight=self.weight)
