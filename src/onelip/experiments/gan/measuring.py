"""What is measured and drawn along the training of a GAN, and at its end."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from typing_extensions import override

from onelip.experiments.evaluation import even_index
from onelip.experiments.gan.preparation import GanExperiment
from onelip.gan import (
    GeneratorSampler,
    critic_constant,
    critic_gradients,
    frechet_of_samples_sq,
    held_out_difference,
    principal_features,
)
from onelip.pictures import sample_grid, save_picture
from onelip.tasks import GAN
from onelip.transport import discrete_wasserstein1, sample_generator

COLUMNS = (
    "generator_steps",
    "critic_loss",
    "difference",
    "penalty",
    "generator_loss",
    "frechet_sq",
    "critic_gradient_largest",
    "critic_gradient_mean",
)
"""Of `metrics.csv`, beside the part of the training and the times."""

_FITTED = 2048
"""Training images that the features are fitted to, at most."""

_DISCRETE = 500
"""Images of each kind between which the exact distance is computed, at most."""

# Streams of random numbers beside those of the training.
_SHOWN, _COMPARED = 11, 12


class Yardstick:
    """The images, features and latent numbers that all measurements of a run share.

    Args:
        experiment: The run's experiment.
    """

    def __init__(self, experiment: GanExperiment) -> None:
        section, seed = experiment.config.evaluate, experiment.config.seed
        self.test = experiment.real("test", section.n_images)
        self.features = principal_features(experiment.real("train", _FITTED), section.n_features)
        self._of_test = self.features(self.test)
        latent = experiment.task.latent
        self.compared = latent(section.n_images, sample_generator(seed, _COMPARED))
        self.shown = latent(section.n_shown, sample_generator(seed, _SHOWN))
        self.train_frechet_sq = self.frechet_sq(experiment.real("train", section.n_images))

    def frechet_sq(self, images: Tensor) -> float:
        """Compare images with the test images.

        Args:
            images: `(n, C, H, W)` pixels in [0, 1].

        Returns:
            The squared Frechet distance in the features, in squared pixels.
        """
        return frechet_of_samples_sq(self.features(images), self._of_test)


class SampleGrids(pl.Callback):
    """After each part of a training, measure and draw the images of fixed latent numbers.

    Args:
        yardstick: What is compared.
        folder: Where the pictures go.
    """

    def __init__(self, yardstick: Yardstick, folder: Path) -> None:
        self._yardstick, self._folder = yardstick, folder

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not isinstance(pl_module, GAN):
            raise TypeError(f"SampleGrids draws the images of a GAN, not of {type(pl_module).__name__}")
        task, yardstick = pl_module, self._yardstick
        sampler = task.sampler()
        images = sampler.images(yardstick.compared).cpu()
        n = min(len(images), len(yardstick.test))
        # On the CPU, where the images to compare with are.
        critic = copy.deepcopy(task.critic).cpu()
        gradients = critic_gradients(critic, yardstick.test[:n], images[:n], seed=task.seed)
        task.metrics |= {
            "generator_steps": task.generator_steps,
            "frechet_sq": yardstick.frechet_sq(images),
            "critic_gradient_largest": gradients.largest,
            "critic_gradient_mean": gradients.mean,
        }
        self._folder.mkdir(exist_ok=True)
        grid = sample_grid(sampler.images(yardstick.shown).cpu())
        save_picture(grid, self._folder / f"{task.generator_steps:07d}.png")


def measure(experiment: GanExperiment, yardstick: Yardstick, sampler: GeneratorSampler) -> dict[str, Any]:
    """Measure a trained pair on the test images.

    Args:
        experiment: The run's experiment, with the trained critic.
        yardstick: What is compared.
        sampler: The generator's images.

    Returns:
        Plain values for `results.json`: distances, the critic's constant and its measured gradients.
    """
    critic, test = experiment.task.critic.cpu(), yardstick.test
    images = sampler.images(yardstick.compared).cpu()
    # As many of each kind.
    n = min(len(images), len(test))
    constant = critic_constant(critic, experiment.data.input_shape)
    held_out = held_out_difference(critic, test, images, constant)
    gradients = critic_gradients(critic, test[:n], images[:n], seed=experiment.config.seed)
    return {
        "frechet": {
            "squared_distance": yardstick.frechet_sq(images),
            "squared_distance_of_training_images": yardstick.train_frechet_sq,
            "features": f"{len(yardstick.features.directions)} principal components of the training pixels",
            "explained_variance": yardstick.features.explained,
            "n_real": len(test),
            "n_generated": len(images),
            "unit": "squared l2 of pixels in [0, 1]",
        },
        "critic_constant": None if constant is None else {**asdict(constant), "kind": _kind(constant.proved)},
        "critic_gradients": {
            **asdict(gradients),
            "largest": gradients.largest,
            "kind": "measured at points: a lower estimate of the constant, not a bound",
        },
        "wasserstein1": {
            "difference": held_out.difference,
            "difference_standard_error": held_out.standard_error,
            "lower_bound": held_out.lower_bound,
            "standard_error": held_out.lower_bound_error,
            "n_real": held_out.n_real,
            "n_generated": held_out.n_generated,
            "discrete": _discrete(images, test),
            "discrete_of_training_images": _discrete(experiment.real("train", len(test)), test),
            "n_discrete": min(_DISCRETE, len(images), len(test)),
            "unit": f"l2 of pixels in [0, 1] at {_size(experiment.data.input_shape)}",
        },
    }


# The exact distance of two finite sets of equally many images.
def _discrete(images: Tensor, test: Tensor) -> float:
    n = min(_DISCRETE, len(images), len(test))
    first, second = (x[even_index(len(x), n)] for x in (images, test))
    return discrete_wasserstein1(first, second).value


def _kind(proved: bool) -> str:
    return "upper bound, proved" if proved else "estimate, not proved"


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
