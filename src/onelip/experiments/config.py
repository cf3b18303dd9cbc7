"""What an experiment is: every key of a configuration, with its type, its limits and its default."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from onelip.attacks import AttackName
from onelip.certify import Relaxation

Part = Annotated[float, Field(ge=0.0, lt=1.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]


# Papers give radii in the form "36/255".
def _from_fraction(value: Any) -> Any:
    if isinstance(value, str) and value.count("/") == 1:
        try:
            return float(Fraction(value.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            return value
    return value


# `sgd` stands for `{name: sgd}`.
def _from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _from_method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


Radius = Annotated[float, BeforeValidator(_from_fraction), Field(gt=0.0)]
Radii = Annotated[tuple[Radius, ...], Field(strict=False, min_length=1)]
Milestone = Annotated[Part, BeforeValidator(_from_fraction)]
Betas = Annotated[tuple[Part, Part], Field(strict=False)]


class Section(BaseModel):
    """A mapping with known keys and strict types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class NamedPart(BaseModel):
    """A registered part by name; the other keys are its options and are checked against its signature."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The part's own options."""
        return dict(self.model_extra or {})


class Augment(Section):
    """Random changes to training images, see `onelip.data.Augment`."""

    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    scale: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    translate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    fill: Literal["zeros", "mean"] = "zeros"


class Data(Section):
    """The images; `validation` is the part of the training images that is held out to select weights.

    `options` are those of the data set's loader, such as the size of images that are streamed from disk.

    `normalize` is done by the network's first layer: nothing, subtract the "mean" pixel of the training images, or
    "standardize" by their mean and standard deviation; attacks and radii are in pixel units in any case.
    """

    name: str = "digits"
    dir: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    batch_size: PositiveInt = 128
    eval_batch_size: PositiveInt = 512
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    normalize: Literal["none", "mean", "standardize"] = "mean"
    augment: Augment = Augment()


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


class Trainer(Section):
    """How the training runs; `threads` null means as many as torch chooses, and is recorded in the run.

    `max_steps` shortens a training: it takes no more epochs than hold that many steps, and as many steps in each.
    """

    max_epochs: PositiveInt = 10
    max_steps: PositiveInt | None = None
    precision: Literal[32, 64, "bf16-mixed"] = 32
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    gradient_clip: PositiveFloat | None = None
    compile: bool = False
    threads: PositiveInt | None = None
    log_every: PositiveInt = 10


class Certify(Section):
    """Certified accuracy is reported at `radii`, of the weights after the last epoch or after the best one.

    The best is that of the highest certified accuracy at `selection_radius` on the validation images, which is in l2
    whatever the norm. `norm` is that of the certificate; `semantics` what it is about: the function in real arithmetic,
    or whatever a float64 evaluation of it computes. `relaxation` names a method of `onelip.certify.relaxed_margins`
    that certifies at the same radii, beside the constant.
    """

    radii: Radii = (0.25, 0.5, 0.75, 1.0)
    weights: Literal["best", "last"] = "best"
    selection_radius: Radius = 0.25
    norm: Literal["l2", "linf"] = "l2"
    semantics: Literal["real", "executed-float64"] = "real"
    max_samples: PositiveInt | None = None
    relaxation: Relaxation | None = None


class CarliniWagner(Section):
    """Effort of the attack "cw", see `onelip.attacks.carlini_wagner`."""

    confidence: NonNegativeFloat = 0.0
    steps: PositiveInt = 1000
    binary_search_steps: PositiveInt = 9
    initial_const: PositiveFloat = 1e-3
    step_size: PositiveFloat = 0.01


class Attack(Section):
    """The attack `kind` on `samples` images of the test split; radii and steps are in units of pixels in [0, 1].

    `norm` null means that of the certificate, or l2 without one; `step_size` null means 2.5 radius / steps. Steps,
    restarts, step size and random start count for the attacks that have them; "cw" has a section of its own.
    """

    kind: AttackName = "pgd"
    norm: Literal["l2", "linf"] | None = None
    radii: Radii = (0.25, 0.5, 0.75, 1.0)
    steps: PositiveInt = 40
    restarts: PositiveInt = 5
    step_size: Radius | None = None
    random_start: bool = False
    cw: CarliniWagner = CarliniWagner()
    samples: PositiveInt = 200

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "cw" and self.norm == "linf":
            raise ValueError("attack.kind=cw measures l2 distances; use attack.norm=l2")
        return self


class ExperimentConfig(Section):
    """A whole experiment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "experiment"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    data: Annotated[Data, BeforeValidator(_from_name)] = Data()
    model: Annotated[NamedPart, BeforeValidator(_from_name)]
    layer: str = "aoc"
    linear: str | None = None
    activation: str = "maxmin"
    loss: Annotated[NamedPart, BeforeValidator(_from_name)]
    optimizer: Annotated[
        Annotated[Adam | AdamW | ScheduleFreeAdamW | SGD, Field(discriminator="name")], BeforeValidator(_from_name)
    ] = AdamW(name="adamw")
    schedule: Annotated[
        Annotated[Constant | Cosine | OneCycle | Step, Field(discriminator="name")], BeforeValidator(_from_name)
    ] = Constant(name="constant")
    trainer: Trainer = Trainer()
    clipping: Annotated[Clipping | None, BeforeValidator(_from_method)] = None
    certify: Certify | None = Certify()
    attack: Attack | None = Attack()
    runs_dir: str = "runs"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.optimizer.name == "schedule-free-adamw" and self.schedule.name != "constant":
            raise ValueError(
                f"schedule={self.schedule.name} does not go with optimizer=schedule-free-adamw, which needs none;"
                " use schedule=constant"
            )
        return self

    def resolved(self) -> dict[str, Any]:
        """Spell out every key, defaults included.

        Returns:
            Plain dicts, lists and scalars, from which the same configuration can be read again.
        """
        return _plain(self.model_dump(mode="python"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
