"""The configuration of a generative adversarial network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from onelip import models
from onelip.experiments.config_common import SampledConfig
from onelip.experiments.config_optimizer import Adam, Optimizer, ScheduleFreeAdamW
from onelip.experiments.config_section import NamedPart, NonNegativeFloat, Part, Section, from_name

_BETAS = (0.5, 0.999)

Network = Annotated[NamedPart, BeforeValidator(from_name)]
OwnOptimizer = Annotated[Optimizer, BeforeValidator(from_name)]


class GanData(Section):
    """The images; the generator learns from the training split and is compared with the test split.

    `options` are those of the data set's loader. With `size`, images are brought to that many pixels a side, by
    antialiased interpolation, and all distances are those of such images; null leaves them as they are.
    """

    name: str = "digits"
    dir: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    size: PositiveInt | None = None
    batch_size: Annotated[int, Field(ge=2)] = 64


class LatentSection(Section):
    """What images are made of: `size` independent numbers, "uniform" on [0, 1) or "normal"."""

    size: PositiveInt = 62
    law: Literal["uniform", "normal"] = "uniform"


class WithOptimizer(Section):
    """A section with its own `optimizer`, whose rate and betas stay where others of its keys are given."""

    @model_validator(mode="before")
    @classmethod
    def _same_optimizer(cls, tree: Any) -> Any:
        given = from_name(tree.get("optimizer")) if isinstance(tree, Mapping) else None
        usual = cls.model_fields["optimizer"].default
        if not isinstance(given, Mapping) or given.get("name", usual.name) != usual.name:
            return tree
        return {**tree, "optimizer": {**usual.model_dump(), **given}}


class CriticSection(WithOptimizer):
    """What sections of critics share: `model` is any registered one, built with one output."""

    model: Network = NamedPart(name="infogan-critic")


def _usual_layer(name: str) -> str | None:
    return models.usual_method(name).layer if name in models.available() else None


class Lipschitz(CriticSection):
    """A critic of 1-Lipschitz layers; `layer`, `linear` and `activation` null are those of the architecture."""

    name: Literal["lipschitz"]
    layer: str | None = None
    layer_options: dict[str, Any] = Field(default_factory=dict)
    linear: str | None = None
    activation: str | None = None
    optimizer: OwnOptimizer = Adam(name="adam", lr=2e-3, betas=_BETAS)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.layer == "plain" or (self.layer is None and _usual_layer(self.model.name) == "plain"):
            raise ValueError(
                "critic.layer=plain is not 1-Lipschitz; use critic=wgan or critic=wgan-gp for plain layers"
            )
        return self


class WGAN(CriticSection):
    """A critic of plain layers whose weights are clipped to [-clip, clip] after each step."""

    name: Literal["wgan"]
    clip: PositiveFloat = 0.01
    activation: str = "leaky-relu"
    optimizer: OwnOptimizer = Adam(name="adam", lr=2e-4, betas=_BETAS)


class WGANGP(CriticSection):
    """A critic of plain layers with `weight` times the gradient penalty at points between images."""

    name: Literal["wgan-gp"]
    weight: NonNegativeFloat = 10.0
    activation: str = "leaky-relu"
    optimizer: OwnOptimizer = Adam(name="adam", lr=2e-4, betas=_BETAS)


Critic = Annotated[Lipschitz | WGAN | WGANGP, Field(discriminator="name")]


class Evaluate(Section):
    """At most `n_images` test images are compared with as many as `n_images` generated ones.

    The Frechet distance is that of `n_features` principal components of the training images. Pictures show `n_shown`
    images. Statistics of the generator's batch normalisations are measured with `n_statistics` images.
    """

    n_images: Annotated[int, Field(ge=2)] = 2000
    n_features: PositiveInt = 32
    n_shown: PositiveInt = 80
    n_statistics: Annotated[int, Field(ge=2)] = 4096


class GanConfig(SampledConfig, WithOptimizer):
    """A training of a generator against a critic.

    The steps of `trainer` are those of the critic; the generator takes one after every `critic_steps`, by `optimizer`.
    `average` is the weight of the past in the average of the generator's weights that is sampled from.
    """

    task: Literal["gan"] = "gan"
    data: Annotated[GanData, BeforeValidator(from_name)] = GanData()
    generator: Network = NamedPart(name="infogan")
    latent: LatentSection = LatentSection()
    critic: Annotated[Critic, BeforeValidator(from_name)] = Lipschitz(name="lipschitz")
    critic_steps: PositiveInt = 5
    optimizer: OwnOptimizer = Adam(name="adam", lr=2e-4, betas=_BETAS)
    average: Part = 0.999
    evaluate: Evaluate = Evaluate()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for path, section in (("optimizer", self.optimizer), ("critic.optimizer", self.critic.optimizer)):
            if isinstance(section, ScheduleFreeAdamW):
                raise ValueError(f"{path}=schedule-free-adamw does not go with task=gan; use adam")
        return self
