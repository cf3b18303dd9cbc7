"""The sections `optimizer` and `schedule` of a configuration."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from onelip.experiments.config_section import Betas, Milestones, NonNegativeFloat, Part, Section


class Lookahead(Section):
    """Every `k` steps the slow weights go the part `alpha` of the way to the fast ones, which go on from there."""

    k: PositiveInt = 6
    alpha: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5


class OptimizerSection(Section):
    """What sections of optimisers share."""

    lookahead: Lookahead | None = None


class AdamW(OptimizerSection):
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


class Adam(OptimizerSection):
    """Adam with coupled decay."""

    name: Literal["adam"]
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    betas: Betas = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


class SGD(OptimizerSection):
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


class NAdam(OptimizerSection):
    """Adam with Nesterov's momentum."""

    name: Literal["nadam"]
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    betas: Betas = (0.9, 0.999)
    momentum_decay: NonNegativeFloat = 4e-3


class AggMo(OptimizerSection):
    """Aggregated momentum, the mean of several with different damping."""

    name: Literal["aggmo"]
    lr: PositiveFloat = 0.1
    weight_decay: NonNegativeFloat = 0.0
    betas: Annotated[tuple[Part, ...], Field(strict=False, min_length=1)] = (0.0, 0.9, 0.99)


class Muon(OptimizerSection):
    """Orthogonalised steps for hidden matrices, AdamW at the rate `adam_lr` for the rest."""

    name: Literal["muon"]
    lr: PositiveFloat = 0.02
    adam_lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    momentum: Part = 0.95
    nesterov: bool = True
    steps: PositiveInt = 6


class ManifoldAdam(OptimizerSection):
    """Adam on the orthogonal matrices, whose layers then need no constraint code."""

    name: Literal["manifold-adam"]
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    betas: Betas = (0.9, 0.999)
    retraction: Literal["polar", "exponential"] = "polar"
    momentum: Literal["adam", "muon"] = "adam"
    every: PositiveInt = 8
    period: PositiveInt = 1
    precision: Literal["bfloat16", "float32", "float64"] = "float32"
    tolerance: PositiveFloat = 1e-2


class Constant(Section):
    """The same learning rate throughout."""

    name: Literal["constant"]


class Cosine(Section):
    """From the full rate to `end` times it."""

    name: Literal["cosine"]
    end: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class Exponential(Section):
    """Down to `end` times the rate, by the same factor with each step."""

    name: Literal["exponential"]
    end: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-3


class OneCycle(Section):
    """From `start` times the rate up to it during the part `warmup`, then down to `end` times it."""

    name: Literal["one-cycle"]
    warmup: Part = 0.3
    start: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    end: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4


class Step(Section):
    """Times `factor` after each of the parts `milestones` of the training, such as 1/3."""

    name: Literal["step"]
    milestones: Milestones = (0.5, 0.75)
    factor: PositiveFloat = 0.1


Optimizer = Annotated[
    Adam | AdamW | AggMo | ManifoldAdam | Muon | NAdam | ScheduleFreeAdamW | SGD, Field(discriminator="name")
]
Schedule = Annotated[Constant | Cosine | Exponential | OneCycle | Step, Field(discriminator="name")]
