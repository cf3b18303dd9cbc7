"""The distributions that a configuration names, as samplers: one to learn from, one to measure on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip import data
from onelip.data import Images
from onelip.experiments.config_wasserstein import (
    DataImages,
    DistributionSection,
    GanSamples,
    Moved,
    Normal,
    Points,
    Shells,
)
from onelip.experiments.gan.preparation import resized
from onelip.experiments.gan.saved import load_generator
from onelip.experiments.progress import work_bar
from onelip.transport import Distribution, Gaussian, PointMasses, SphericalShells, Translated
from onelip.transport.point_masses import draw_places


@dataclass(frozen=True, eq=False)
class ImageSampler:
    """Images of a data set, drawn at random as pixels in [0, 1] at their own resolution.

    Attributes:
        images: Where they are drawn from.
        replacement: May an image be drawn twice in one batch, or one pass?
    """

    images: Images
    replacement: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, H, W)` of one image."""
        return self.images.shape

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw images.

        Args:
            n: How many.
            generator: Where all randomness comes from.

        Returns:
            `(n, C, H, W)` float32.
        """
        return self.images.pixels(self._places(n, generator))

    def passes(self, n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Draw images in batches.

        Args:
            n: How many in all.
            batch_size: Largest batch.
            generator: Where all randomness comes from.

        Yields:
            The batches; without replacement no image is in two of them.
        """
        for places in self._places(n, generator).split(batch_size):
            yield self.images.pixels(places)

    def _places(self, n: int, generator: torch.Generator) -> Tensor:
        return draw_places(len(self.images), n, self.replacement, generator, "ImageSampler")


@dataclass(frozen=True, eq=False)
class Source:
    """One of the two distributions.

    Attributes:
        training: Draws what the critic learns from.
        held_out: Draws what it is measured on.
        about: What it is, in words.
        pixels: Are its coordinates pixels in [0, 1]?
        size: How many different samples can be drawn to measure on; None without limit.
    """

    training: Distribution
    held_out: Distribution
    about: str
    pixels: bool = False
    size: int | None = None


def build_source(section: DistributionSection, other: Source | None = None) -> Source:
    """Make the samplers of a distribution.

    Args:
        section: `p` or `q` of a configuration; a GAN's has its run.
        other: The other of them, which a translated one moves.

    Returns:
        The samplers.

    Raises:
        ValueError: An option does not fit, or a class has no images.
    """
    if isinstance(section, Moved):
        if other is None:
            raise ValueError("a translated distribution needs the other one, which it moves")
        moved = Translated(other.training, section.vector), Translated(other.held_out, section.vector)
        length = sum(value**2 for value in section.vector) ** 0.5
        return Source(*moved, f"{other.about}, moved by a vector of length {length:.4g}", other.pixels, other.size)
    if isinstance(section, DataImages):
        return _images(section)
    if isinstance(section, GanSamples):
        sampler = load_generator(str(section.run))
        return Source(sampler, sampler, f"what the generator of {section.run} draws", pixels=True)
    distribution = _distribution(section)
    return Source(distribution, distribution, _about(section))


def _distribution(section: Shells | Normal | Points) -> Distribution:
    match section:
        case Shells():
            return SphericalShells(section.centers, section.radius, section.empty_dim, section.grid)
        case Normal():
            return Gaussian(section.mean, section.std)
        case Points():
            return PointMasses(section.points, section.weights)


def _about(section: Shells | Normal | Points) -> str:
    match section:
        case Shells():
            n, dim = len(section.centers), len(section.centers[0])
            around = "spheres of radius {:g} around {} centres" if n > 1 else "a sphere of radius {:g} around {} centre"
            return f"{around.format(section.radius, n)} in {dim} dimension{'s' if dim > 1 else ''}"
        case Normal():
            dim = len(section.mean)
            return f"a normal distribution in {dim} dimension{'s' if dim > 1 else ''}"
        case Points():
            return f"{len(section.points)} points in {len(section.points[0])} dimensions"


def _images(section: DataImages) -> Source:
    with work_bar(f"loading {section.set}") as progress:
        images = data.load(section.set, section.dir, progress=progress, **section.options)
    parts = [_of_classes(part, section) for part in (images.train, images.test)]
    train, test = parts if section.size is None else (resized(part, section.size) for part in parts)
    classes = "" if section.classes is None else f" of class {', '.join(map(str, section.classes))}"
    about = f"images of {section.set}{classes} ({len(train):,} to learn from, {len(test):,} of the test split)"
    return Source(ImageSampler(train), ImageSampler(test, replacement=False), about, pixels=True, size=len(test))


def _of_classes(images: Images, section: DataImages) -> Images:
    if section.classes is None:
        return images
    chosen = torch.isin(images.labels, torch.tensor(section.classes)).nonzero().flatten()
    missing = set(section.classes) - set(images.labels.tolist())
    if missing:
        raise ValueError(f"classes={list(section.classes)} of {section.set}: there is no image of {sorted(missing)}")
    return images.subset(chosen)
