"""What the estimation of a Wasserstein distance is: every key of its configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from onelip.experiments.config_common import SampledConfig, as_published
from onelip.experiments.config_optimizer import Adam, Constant, Optimizer, Schedule
from onelip.experiments.config_section import NamedPart, Section, from_name

Numbers = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
Rows = Annotated[tuple[Numbers, ...], Field(strict=False, min_length=1)]


class Shells(Section):
    """Uniform on spheres of one radius around equally likely centres, see `onelip.transport.SphericalShells`."""

    name: Literal["shells"]
    centers: Rows
    radius: PositiveFloat
    empty_dim: Annotated[int, Field(ge=0)] = 0
    grid: Annotated[tuple[PositiveInt, PositiveInt] | None, Field(strict=False)] = None


class Normal(Section):
    """Normal with independent coordinates, see `onelip.transport.Gaussian`."""

    name: Literal["gaussian"]
    mean: Numbers
    std: Numbers = (1.0,)


class Points(Section):
    """Points with probabilities, equal ones by default, see `onelip.transport.PointMasses`."""

    name: Literal["points"]
    points: Rows
    weights: Annotated[tuple[NonNegativeFloat, ...] | None, Field(strict=False)] = None


class Moved(Section):
    """The other distribution, moved by a vector."""

    name: Literal["translated"]
    vector: Numbers


class DataImages(Section):
    """Images of a data set, pixels in [0, 1] at their own resolution.

    The critic learns from the training images and is measured on the test images. `classes` keeps those of some labels.
    With `size`, images are brought to that many pixels a side, and distances are those of such images.
    """

    name: Literal["images"]
    set: str
    dir: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    size: PositiveInt | None = None
    classes: Annotated[tuple[Annotated[int, Field(ge=0)], ...] | None, Field(strict=False)] = None


class GanSamples(Section):
    """What the generator of a trained GAN draws, in eval mode.

    `run` is the folder of its run; null means the latest run of the configuration `config`, which is trained first if
    there is none, with the changes `overrides`.
    """

    name: Literal["gan"]
    config: str = "gan-digits"
    overrides: Annotated[tuple[str, ...], Field(strict=False)] = ()
    run: str | None = None


DistributionSection = Annotated[Shells | Normal | Points | Moved | DataImages | GanSamples, Field(discriminator="name")]


class Evaluation(Section):
    """How the critic is measured, on `n_samples` fresh samples of each distribution that it never learned from.

    `level` is that of the confidence interval. For the first `n_discrete` samples the exact distance between them is
    computed, too, beside the critic's value on the same ones. Between measurements in the training, `n_monitor` samples
    are drawn as the critic's own are.
    """

    n_samples: PositiveInt = 16384
    batch_size: PositiveInt = 1024
    n_discrete: Annotated[int, Field(ge=0)] = 512
    n_monitor: PositiveInt = 2048
    level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95


class WassersteinConfig(SampledConfig):
    """A lower bound of the Wasserstein-1 distance of p and q by a critic with a proved constant."""

    task: Literal["wasserstein"] = "wasserstein"
    p: DistributionSection
    q: DistributionSection
    model: Annotated[NamedPart, BeforeValidator(from_name)]
    layer: str = "bjorck"
    layer_options: dict[str, Any] = Field(default_factory=dict)
    linear: str | None = None
    activation: str = "maxmin"
    optimizer: Annotated[Optimizer, BeforeValidator(from_name)] = Adam(name="adam")
    schedule: Annotated[Schedule, BeforeValidator(from_name)] = Constant(name="constant")
    batch_size: PositiveInt = 256
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, tree: Any) -> Any:
        return as_published(tree)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.p.name == "translated" and self.q.name == "translated":
            raise ValueError("p and q in the configuration are both translated, each of the other; give one of them")
        if self.optimizer.name == "schedule-free-adamw":
            raise ValueError("optimizer=schedule-free-adamw is not for task=wasserstein; use adam, aggmo or another")
        return self
