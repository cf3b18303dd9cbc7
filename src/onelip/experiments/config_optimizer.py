"""The sections `optimizer` and `schedule` of a configuration."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from onelip.experiments.config_section import Betas, Milestone, NonNegativeFloat, Part, Section


class AdamW(Section):
    """AdamW."""

    name: Literal["adamw"]
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    betas: Betas = (0.9, 0.999)


class ScheduleFreeAdamW(Section):
    """AdamW with averaged iterates in place of a schedule."""

    name: Literal["schedule-free-adamw"]
    lr: PositiveFloat = 2.5e-3
    weight_decay: NonNegativeFloat = 0.0
    betas: Betas = (0.9, 0.999)
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class Adam(Section):
    """Adam with coupled decay."""

    name: Literal["adam"]
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    betas: Betas = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


class SGD(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    lr: PositiveFloat = 0.1
    weight_decay: NonNegativeFloat = 0.0
    momentum: Part = 0.9
    nesterov: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("optimizer.nesterov=True needs a positive optimizer.momentum")
        return self


class Constant(Section):
    """The same learning rate throughout."""

    name: Literal["constant"]


class Cosine(Section):
    """From the full rate to `end` times it."""

    name: Literal["cosine"]
    end: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class OneCycle(Section):
    """From `start` times the rate up to it during the part `warmup`, then down to `end` times it."""

    name: Literal["one-cycle"]
    warmup: Part = 0.3
    start: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    end: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4


class Step(Section):
    """Times `factor` after each of the parts `milestones` of the training, such as 1/3."""

    name: Literal["step"]
    milestones: Annotated[tuple[Milestone, ...], Field(strict=False, min_length=1)] = (0.5, 0.75)
    factor: PositiveFloat = 0.1


Optimizer = Annotated[Adam | AdamW | ScheduleFreeAdamW | SGD, Field(discriminator="name")]
Schedule = Annotated[Constant | Cosine | OneCycle | Step, Field(discriminator="name")]
