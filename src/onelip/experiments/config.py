"""What an experiment is: every key of a configuration, with its type, its limits and its default."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from onelip.certify import Relaxation
from onelip.experiments.config_adversarial import Adversarial, Jacobian
from onelip.experiments.config_attack import Attack
from onelip.experiments.config_common import RunConfig, as_published
from onelip.experiments.config_data import Data
from onelip.experiments.config_optimizer import AdamW, Constant, Optimizer, Schedule
from onelip.experiments.config_projection import Projection
from onelip.experiments.config_relaxation import RelaxationTraining
from onelip.experiments.config_section import (
    NamedPart,
    Radii,
    Radius,
    Section,
    from_fractions,
    from_name,
)
from onelip.experiments.config_start import Start
from onelip.experiments.config_trainer import Trainer


def _from_method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


class Clipping(Section):
    """A method that keeps the norms of an ordinary network small; the other keys are its options, see its signature.

    `batch_norm` says what becomes of batch normalisations: kept as they are, clipped by their running variance, or
    clipped as one map with the convolution before each. The exact norms are measured every `check_every` steps; null
    means after each epoch.
    """

    model_config = ConfigDict(extra="allow")
    method: str
    max_norm: PositiveFloat = 1.0
    batch_norm: Literal["keep", "clip", "joint"] = "keep"
    check_every: PositiveInt | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})


class Certify(Section):
    """Certified accuracy is reported at `radii`, of the weights after the last epoch or after the best one.

    The best is that of the highest certified accuracy at `selection_radius` on the validation images. `norm` is that
    of the certificate and of all its radii; `semantics` what it is about: the function in real arithmetic,
    or whatever a float64 evaluation of it computes. `relaxation` names a method of `onelip.certify.relaxed_margins`
    that certifies at the same radii, beside the constant. With `mirror_average`, what is validated, certified and
    attacked is the average of the trained network over each image and its mirror image.
    """

    radii: Radii = (0.25, 0.5, 0.75, 1.0)
    weights: Literal["best", "last"] = "best"
    selection_radius: Radius = 0.25
    norm: Literal["l2", "linf"] = "l2"
    semantics: Literal["real", "executed-float64"] = "real"
    max_samples: PositiveInt | None = None
    relaxation: Relaxation | None = None
    mirror_average: bool = False


class ExperimentConfig(RunConfig):
    """A whole experiment with a classifier."""

    task: Literal["classification"] = "classification"
    data: Annotated[Data, BeforeValidator(from_name)] = Data()
    model: Annotated[NamedPart, BeforeValidator(from_name)]
    layer: str = "aoc"
    layer_options: dict[str, Any] = Field(default_factory=dict)
    linear: str | None = None
    activation: str = "maxmin"
    loss: Annotated[NamedPart, BeforeValidator(from_fractions), BeforeValidator(from_name)]
    optimizer: Annotated[Optimizer, BeforeValidator(from_name)] = AdamW(name="adamw")
    schedule: Annotated[Schedule, BeforeValidator(from_name)] = Constant(name="constant")
    trainer: Trainer = Trainer()
    clipping: Annotated[Clipping | None, BeforeValidator(_from_method)] = None
    adversarial: Adversarial | None = None
    jacobian: Jacobian | None = None
    relaxation: RelaxationTraining | None = None
    projection: Projection | None = None
    start: Start | None = None
    certify: Certify | None = Certify()
    attack: Attack | None = Attack()

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, tree: Any) -> Any:
        return as_published(tree)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.optimizer.name == "schedule-free-adamw" and self.trainer.ema is not None:
            raise ValueError("trainer.ema does not go with optimizer=schedule-free-adamw, which averages by itself")
        if self.optimizer.name == "schedule-free-adamw" and self.schedule.name != "constant":
            raise ValueError(
                f"schedule={self.schedule.name} does not go with optimizer=schedule-free-adamw, which needs none;"
                " use schedule=constant"
            )
        if self.data.validation == 0 and (self.certify is None or self.certify.weights == "best"):
            raise ValueError(
                "data.validation=0 holds no images out to choose weights by; certify, with certify.weights=last"
            )
        return self

    @model_validator(mode="after")
    def _check_training(self) -> Self:
        if self.adversarial is not None and self.relaxation is not None:
            raise ValueError("adversarial and relaxation both say what is minimised; set one of them to null")
        for section in ("adversarial", "jacobian", "relaxation"):
            if self.trainer.compile and getattr(self, section) is not None:
                raise ValueError(f"trainer.compile=true does not go with {section}; set trainer.compile=false")
        projection = self.projection
        if projection is None:
            return self
        kind = f"projection.kind={projection.kind}"
        if self.optimizer.name == "schedule-free-adamw":
            raise ValueError(f"{kind} does not reach the averages of optimizer=schedule-free-adamw; use another one")
        if self.clipping is not None:
            raise ValueError(f"{kind} and clipping.method={self.clipping.method} both move weights; set one to null")
        if self.trainer.ema is not None and (projection.every, projection.n) != ("step", 1):
            raise ValueError(
                f"trainer.ema would average weights that {kind} has not projected yet; use projection.every=step and "
                f"projection.n=1, or trainer.ema=null"
            )
        return self
