"""Test images with their certified radius, beside the nearest adversarial image that a search finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from onelip.attacks import nearest_adversarial
from onelip.data import ImageData
from onelip.experiments.evaluation import load_certified
from onelip.experiments.preparation import prepare
from onelip.experiments.progress import work_bar
from onelip.experiments.report.images import data_uri, difference_picture
from onelip.experiments.run_folder import RunFolder

N_IMAGES = 12
REACH = 4.0
"""The search looks as far as this many times the largest certified radius shown, and at least to 1."""


@dataclass(frozen=True)
class Example:
    """One row of the gallery; pictures are data URIs.

    Attributes:
        index: Number of the image among the certified ones.
        label: Its class, which the network gives too.
        answer: The class that the network gives to the adversarial image; None if none was found.
        radius: Certified l2 radius, in pixel units.
        distance: l2 distance of the adversarial image; inf if none was found.
        gain: Amplification of the difference picture.
        picture: The image.
        adversarial: The adversarial image, or empty.
        difference: The difference on mid-grey, or empty.
    """

    index: int
    label: str
    answer: str | None
    radius: float
    distance: float
    gain: float
    picture: str
    adversarial: str
    difference: str

    @property
    def consistent(self) -> bool:
        """Is the adversarial image outside of the certified ball?"""
        return self.distance >= self.radius


@dataclass(frozen=True)
class Gallery:
    """The examples and how far was searched.

    Attributes:
        examples: By rising certified radius.
        reach: Largest distance searched.
    """

    examples: tuple[Example, ...]
    reach: float

    @property
    def consistent(self) -> bool:
        """Is every adversarial image outside of the certified ball?"""
        return all(example.consistent for example in self.examples)

    @property
    def scale(self) -> float:
        """Largest distance to be drawn."""
        distances = [e.distance for e in self.examples if math.isfinite(e.distance)]
        return max([*distances, *(e.radius for e in self.examples)]) * 1.04


def choose_examples(radii: Tensor, labels: Tensor, n: int = N_IMAGES) -> Tensor:
    """Choose images by a fixed rule: evenly spread over the ranks of the certified radii.

    Correctly classified images with a positive radius are ranked and cut into `n` slices of equal size. Of each slice
    comes the image nearest to its middle whose class has been taken least often so far.

    Args:
        radii: `(N,)` certified radii.
        labels: `(N,)` classes.
        n: How many images.

    Returns:
        At most `n` positions, by rising radius.
    """
    certified = torch.nonzero(radii > 0).flatten()
    ranked = certified[torch.sort(radii[certified], stable=True).indices]
    n = min(n, len(ranked))
    taken: dict[int, int] = {}
    chosen = []
    for k in range(n):
        start, stop = k * len(ranked) // n, (k + 1) * len(ranked) // n
        middle = (start + stop - 1) / 2
        ranks = sorted(range(start, stop), key=lambda r: (taken.get(int(labels[ranked[r]]), 0), abs(r - middle), r))
        position = int(ranked[ranks[0]])
        taken[int(labels[position])] = taken.get(int(labels[position]), 0) + 1
        chosen.append(position)
    return torch.tensor(chosen, dtype=torch.int64)


def make_gallery(
    network: nn.Module,
    samples: ImageData,
    radii: np.ndarray[tuple[int], np.dtype[np.float64]],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> Gallery:
    """Choose images and search the nearest adversarial image of each.

    Args:
        network: The certified network, of plain modules.
        samples: The certified images.
        radii: `(N,)` their certified radii.
        classes: Name of each class.
        seed: Seed of the search.

    Returns:
        The gallery, empty if nothing is certified.
    """
    certified = torch.from_numpy(np.asarray(radii, dtype=np.float64).copy())
    index = choose_examples(certified, samples.labels)
    if not len(index):
        return Gallery((), 0.0)
    x, y = samples.pixels(index), samples.labels[index]
    reach = max(1.0, REACH * float(certified[index].max()))
    generator = torch.Generator(device=x.device).manual_seed(seed)
    # Twice the restarts and half as many steps and radii again came 2 % nearer on digits, at 3.5 times the cost.
    found, distances = nearest_adversarial(
        network, x, y, max_radius=reach, n_radii=4, steps=20, restarts=1, generator=generator
    )
    with torch.no_grad():
        answers = network(found).argmax(1)
    exact = torch.linalg.vector_norm((found.double() - x.double()).flatten(1), dim=1)
    distances = torch.where(torch.isfinite(distances), exact, math.inf)
    examples = []
    for k, position in enumerate(index.tolist()):
        flipped = math.isfinite(float(distances[k]))
        difference, gain = difference_picture(x[k], found[k])
        examples.append(
            Example(
                index=position,
                label=classes[int(y[k])],
                answer=classes[int(answers[k])] if flipped else None,
                radius=float(certified[position]),
                distance=float(distances[k]),
                gain=gain,
                picture=data_uri(x[k]),
                adversarial=data_uri(found[k]) if flipped else "",
                difference=data_uri(difference) if flipped else "",
            )
        )
    return Gallery(tuple(examples), reach)


def gallery_of_run(folder: RunFolder, seed: int) -> Gallery:
    """Make the gallery from a run's checkpoint and data.

    Args:
        folder: The run's folder.
        seed: Seed of the search.

    Returns:
        The gallery.

    Raises:
        UserError: If the configuration, the data or the checkpoint cannot be read, or are not those of the certificate.
    """
    experiment = prepare(folder.config())
    certified = load_certified(experiment, folder)
    with work_bar("searching adversarial images"):
        classes = experiment.data.classes
        return make_gallery(certified.network, certified.samples, certified.certificate.radii, classes, seed=seed)
