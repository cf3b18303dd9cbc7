"""The sections `adversarial` and `jacobian` of a configuration: what is minimised in place of the loss alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, PositiveFloat, PositiveInt, model_validator

from onelip.experiments.config_section import Radius, Section, from_fraction
from onelip.losses import Ramp


# A positive number, or the mapping of a ramp, which is kept as it is for the resolved configuration.
def _radius(value: Any) -> Any:
    if isinstance(value, Mapping):
        numbers = {key: from_fraction(item) for key, item in value.items()}
        ramp = Ramp.from_mapping(numbers, "adversarial.radius")
        if min(ramp.start, ramp.end) < 0:
            raise ValueError(f"adversarial.radius={dict(value)} must stay at least 0")
        return numbers
    number = from_fraction(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
        raise ValueError(f"adversarial.radius={value!r} must be a positive number or a ramp with start and end")
    return float(number)


class Adversarial(Section):
    """Train on the points that an attack finds around the images, see `onelip.tasks.PGDTraining` and `TRADES`.

    `kind` "pgd" minimises the loss there, "trades" that of the images plus `beta` (6 by default) times how much the
    predictions change. `radius` is in units of pixels in [0, 1], and may be a ramp; `step_size` null means
    2.5 radius / steps. `random_start` (true by default) is for "pgd".
    """

    kind: Literal["pgd", "trades"] = "pgd"
    norm: Literal["l2", "linf"] = "l2"
    radius: Annotated[float | dict[str, Any], BeforeValidator(_radius)]
    steps: PositiveInt = 10
    step_size: Radius | None = None
    random_start: bool | None = None
    beta: PositiveFloat | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "pgd" and self.beta is not None:
            raise ValueError(f"adversarial.beta={self.beta:g} has no effect on adversarial.kind=pgd; leave it out")
        if self.kind == "trades" and self.random_start is not None:
            raise ValueError(
                f"adversarial.random_start={self.random_start} has no effect on adversarial.kind=trades, which begins "
                f"with a little noise; leave it out"
            )
        return self


class Jacobian(Section):
    """A penalty on the Jacobian from pixels to logits at the images, see `onelip.tasks.JacobianPenalty`.

    `kind` "spectral" adds `weight` times an estimate of its norm by `iterations` (3 by default) of power iteration,
    "frobenius" `weight` / 2 times one of its squared Frobenius norm by `projections` (1 by default) random vectors.
    """

    kind: Literal["spectral", "frobenius"] = "spectral"
    weight: PositiveFloat
    iterations: PositiveInt | None = None
    projections: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        idle = "projections" if self.kind == "spectral" else "iterations"
        if getattr(self, idle) is not None:
            raise ValueError(
                f"jacobian.{idle}={getattr(self, idle)} has no effect on jacobian.kind={self.kind}; leave it out"
            )
        return self
