"""From a configuration to a critic and two samplers, everything checked, nothing written."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from onelip import data, layers, lipschitz_bound, models
from onelip.experiments.config_wasserstein import DataImages, WassersteinConfig
from onelip.experiments.distributions import Source, build_source
from onelip.experiments.wasserstein.gan_run import with_run
from onelip.linalg import unknown_name
from onelip.transport import exact_wasserstein1


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that the estimation needs.

    Attributes:
        config: The configuration, with the run of a GAN as a folder.
        critic: With fresh weights, its constant provable.
        p: The distribution where the critic is to be high.
        q: That where it is to be low.
        exact: Their Wasserstein-1 distance, where it is known.
        why_unknown: Why it is not, else empty.
        n_samples: How many held-out samples of each there are to measure on, at most what is configured.
    """

    config: WassersteinConfig
    critic: nn.Module
    p: Source
    q: Source
    exact: float | None
    why_unknown: str
    n_samples: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.p.training.shape

    @property
    def unit(self) -> str:
        """What distances are measured in."""
        if self.p.pixels:
            return f"l2 distance of images {'x'.join(map(str, self.shape))}, pixels in [0, 1]"
        return "l2 distance of the samples"


def prepare(config: WassersteinConfig) -> Prepared:
    """Check names, make samplers and critic, prove that the critic's constant can be proved.

    A GAN that is named by its configuration and has no run yet is trained first, in a run of its own.

    Args:
        config: The configuration.

    Returns:
        What the training needs.

    Raises:
        ValueError: Something does not exist or does not fit together.
    """
    _check_names(config)
    torch.set_num_threads(config.trainer.threads or torch.get_num_threads())
    trainer = config.trainer.model_copy(update={"threads": torch.get_num_threads()})
    both = {"p": with_run(config.p, config.q, config.runs_dir), "q": with_run(config.q, config.p, config.runs_dir)}
    config = config.model_copy(update={"trainer": trainer, **both})
    first = build_source(config.q) if config.p.name == "translated" else None
    p = build_source(config.p, first)
    q = first or build_source(config.q, p)
    if p.training.shape != q.training.shape:
        raise ValueError(
            f"samples of p have shape {p.training.shape}, and those of q {q.training.shape}; they must agree"
        )
    critic = build_critic(config, p.training.shape)
    lipschitz_bound(layers.to_plain(critic), p.training.shape)
    exact, why = _exact(p, q)
    limits = [size for size in (p.size, q.size) if size is not None]
    return Prepared(config, critic, p, q, exact, why, min([config.evaluation.n_samples, *limits]))


def build_critic(config: WassersteinConfig, shape: tuple[int, ...]) -> nn.Module:
    """Build the configured critic.

    Args:
        config: The configuration.
        shape: Of one sample, `(d,)` or `(C, H, W)`.

    Returns:
        A network with one output, its weights drawn with the configuration's seed.
    """
    channels, height, width = shape if len(shape) == 3 else (1, 1, math.prod(shape))
    torch.manual_seed(config.seed)
    return models.build(
        config.model.name,
        input_shape=(channels, height, width),
        n_classes=1,
        layer=config.layer,
        linear=config.linear,
        activation=config.activation,
        layer_options=config.layer_options,
        **config.model.options,
    )


def _exact(p: Source, q: Source) -> tuple[float | None, str]:
    try:
        return exact_wasserstein1(p.training, q.training), ""
    except ValueError as error:
        return None, str(error)


def _check_names(config: WassersteinConfig) -> None:
    if config.model.name not in models.available():
        raise ValueError(unknown_name("model", config.model.name, models.available()))
    for section in (config.p, config.q):
        if isinstance(section, DataImages) and section.set not in data.available():
            raise ValueError(unknown_name("data set", section.set, data.available()))
