"""From a configuration of a GAN to data and networks in memory, everything checked, nothing written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from onelip import data, models
from onelip.data import DataError, DataSet, ImageData, Images
from onelip.experiments.config_gan import WGAN, WGANGP, Critic, GanConfig, Lipschitz
from onelip.experiments.config_section import NamedPart
from onelip.experiments.errors import as_user_errors
from onelip.experiments.evaluation import even_index
from onelip.experiments.progress import work_bar
from onelip.gan import (
    ClippedObjective,
    CriticObjective,
    Latent,
    LipschitzObjective,
    PenaltyObjective,
    build_generator,
)
from onelip.models.method import PLAIN
from onelip.tasks import GAN, OPTIMIZERS, OptimizerFactory, lookahead

_RESIZED = 256
"""Images that change their size at a time."""


@dataclass(frozen=True, eq=False)
class GanExperiment:
    """All that a training needs, in memory and checked.

    Attributes:
        config: The configuration, with the number of threads that is used.
        data: The data set, its images of the size that the configuration asks for.
        task: Generator and critic, with fresh weights.
    """

    config: GanConfig
    data: DataSet
    task: GAN

    def real(self, split: str, n: int) -> Tensor:
        """Read images of a split, spread evenly over it.

        Args:
            split: "train" or "test".
            n: At most how many.

        Returns:
            `(min(n, size of the split), C, H, W)` pixels in [0, 1].
        """
        images: Images = getattr(self.data, split)
        return images.pixels(even_index(len(images), n))


def prepare(config: GanConfig) -> GanExperiment:
    """Load the data and build both networks; write nothing.

    Args:
        config: The configuration.

    Returns:
        The experiment, its weights drawn with the configuration's seed.

    Raises:
        UserError: If something does not exist or does not fit together.
    """
    with as_user_errors():
        threads = config.trainer.threads or torch.get_num_threads()
        config = config.model_copy(update={"trainer": config.trainer.model_copy(update={"threads": threads})})
        torch.set_num_threads(threads)
        images = _load(config)
        torch.manual_seed(config.seed)
        generator = _generator(config, images.input_shape)
        critic = build_critic(config.critic, images.input_shape)
        with torch.no_grad():
            critic.eval()(generator.eval()(torch.zeros(2, config.latent.size)))
        critic.train()
        generator.train()
        task = GAN(
            generator,
            critic,
            latent=Latent(config.latent.size, config.latent.law),
            objective=_objective(config.critic),
            critic_optimizer=_optimizer(config.critic.optimizer),
            generator_optimizer=_optimizer(config.optimizer),
            critic_steps=config.critic_steps,
            average=config.average,
            gradient_clip=config.trainer.gradient_clip,
            n_statistics=config.evaluate.n_statistics,
            seed=config.seed,
        )
    return GanExperiment(config, images, task)


def _generator(config: GanConfig, image_shape: tuple[int, int, int]) -> nn.Module:
    part = config.generator
    return build_generator(part.name, image_shape=image_shape, n_latent=config.latent.size, **part.options)


def build_critic(section: Critic, image_shape: tuple[int, int, int]) -> nn.Module:
    """Build the critic that a configuration asks for.

    Args:
        section: Its section.
        image_shape: `(C, H, W)` of an image.

    Returns:
        Maps `(B, C, H, W)` to `(B, 1)`; weights are drawn from torch's generator.

    Raises:
        ValueError: A name or option is unknown, the image does not fit, or the network normalises batches.
    """
    method: dict[str, Any] = {"layer": PLAIN, "linear": PLAIN, "activation": section.activation}
    if isinstance(section, Lipschitz):
        method |= {"layer": section.layer, "linear": section.linear, "layer_options": section.layer_options}
    model: NamedPart = section.model
    critic = models.build(model.name, input_shape=image_shape, n_classes=1, **method, **model.options)
    for name, module in critic.named_modules():
        # The images of a batch would depend on each other, and the critic be no function of one image.
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ValueError(f"critic.model={model.name} normalises batches in {name!r}, which no critic may")
    return critic


def _objective(section: Critic) -> CriticObjective:
    if isinstance(section, WGAN):
        return ClippedObjective(section.clip)
    if isinstance(section, WGANGP):
        return PenaltyObjective(section.weight)
    return LipschitzObjective()


def _optimizer(section: Any) -> OptimizerFactory:
    options = section.model_dump(exclude={"name"})
    wrapper = options.pop("lookahead", None)
    factory = OPTIMIZERS[section.name](**options)
    return factory if wrapper is None else lookahead(factory, **wrapper)


def _load(config: GanConfig) -> DataSet:
    section = config.data
    with work_bar(f"loading {section.name}") as progress:
        images = data.load(section.name, section.dir, progress=progress, **section.options)
    for split in (images.train, images.test):
        if len(split) < 2:
            raise DataError(f"data={section.name} has {len(split)} images in a split; a GAN needs 2 in each")
    if section.size is None or images.input_shape[1:] == (section.size, section.size):
        return images
    return replace(images, train=resized(images.train, section.size), test=resized(images.test, section.size))


def resized(images: Images, size: int) -> ImageData:
    """Bring images to another size, in memory.

    Args:
        images: The images.
        size: Pixels a side.

    Returns:
        The images, interpolated bilinearly with antialiasing and rounded to bytes.
    """
    parts = []
    for index in torch.arange(len(images)).split(_RESIZED):
        pixels = nn.functional.interpolate(images.pixels(index), (size, size), mode="bilinear", antialias=True)
        parts.append((255 * pixels.clamp(0, 1)).round().to(torch.uint8))
    return ImageData(torch.cat(parts), images.labels, 255.0)
