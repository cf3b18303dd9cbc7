"""Test images beside the nearest adversarial images that an attack or a search finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from onelip.attacks import linf_pgd, nearest_adversarial
from onelip.attacks.ball import Norm, distances
from onelip.attacks.nearest import pulled_closer
from onelip.data import Images
from onelip.experiments.kept_points import KeptPoints
from onelip.experiments.report.images import data_uri
from onelip.metrics import correct
from onelip.pictures import AdversarialImages
from onelip.pictures.colours import difference_picture

SEARCH = "search"
"""The name of what the page itself finds."""

REACH = 4.0
"""The search looks as far as this many times the largest certified radius shown, and at least as far as below."""

LEAST_REACH = {"l2": 1.0, "linf": 0.1}
UNCERTIFIED_REACH = {"l2": 2.0, "linf": 0.2}

_BISECTIONS = 7
"""Radii tried for each image by the search in l_inf."""


@dataclass(frozen=True)
class Example:
    """One row of the gallery; pictures are data URIs.

    Attributes:
        index: Number of the image among those that were certified, or of the test split.
        label: Its class, which the network gives too.
        answer: The class that the network gives to the adversarial image; None if none was found.
        radius: Certified radius, in pixel units; None without a certificate.
        distance: Distance of the adversarial image; inf if none was found.
        source: The attack that came nearest, such as "pgd-l2", or "search".
        gain: Amplification of the difference picture.
        picture: The image.
        adversarial: The adversarial image, or empty.
        difference: The difference on mid-grey, or empty.
    """

    index: int
    label: str
    answer: str | None
    radius: float | None
    distance: float
    source: str
    gain: float
    picture: str
    adversarial: str
    difference: str

    @property
    def consistent(self) -> bool:
        """Is the adversarial image outside of the certified ball?"""
        return self.radius is None or self.distance >= self.radius


@dataclass(frozen=True)
class Gallery:
    """The examples and how far was searched.

    Attributes:
        examples: By rising distance.
        reach: Largest distance searched.
        norm: Norm of distances and radii.
        pixels: The same, to be drawn.
    """

    examples: tuple[Example, ...]
    reach: float
    norm: Norm
    pixels: AdversarialImages | None = field(default=None, compare=False)

    @property
    def consistent(self) -> bool:
        """Is every adversarial image outside of the certified ball?"""
        return all(example.consistent for example in self.examples)

    @property
    def scale(self) -> float:
        """Largest distance to be drawn."""
        found = [e.distance for e in self.examples if math.isfinite(e.distance)]
        radii = [e.radius for e in self.examples if e.radius is not None]
        return max([*found, *radii], default=self.reach) * 1.04


def make_gallery(
    network: nn.Module,
    images: Images,
    index: Tensor,
    classes: Sequence[str],
    *,
    radii: Tensor | None = None,
    norm: Norm = "l2",
    kept: Sequence[KeptPoints] = (),
    seed: int = 0,
) -> Gallery:
    """Find the nearest adversarial image of each of some images: by a search, or among what attacks have kept.

    Args:
        network: The classifier, of plain modules.
        images: The images that `index` counts.
        index: `(n,)` which of them, each classified rightly.
        classes: Name of each class.
        radii: `(n,)` certified radii of these, or None without a certificate.
        norm: Norm in which distances are measured.
        kept: Points of attacks.
        seed: Seed of the search.

    Returns:
        The gallery, empty without images.
    """
    if not len(index):
        return Gallery((), 0.0, norm)
    x, y = images.pixels(index), images.labels[index]
    reach = UNCERTIFIED_REACH[norm] if radii is None else max(LEAST_REACH[norm], REACH * float(radii.max()))
    generator = torch.Generator(device=x.device).manual_seed(seed)
    points, lengths = _search(network, x, y, reach, norm, generator)
    sources = [SEARCH] * len(index)
    for attack in kept:
        _take_nearer(network, x, y, index, attack, norm, (points, lengths, sources))
    with torch.no_grad():
        answers = network(points).argmax(1)
    certified = [None] * len(index) if radii is None else radii.tolist()
    order = sorted(range(len(index)), key=lambda k: (float(lengths[k]), certified[k] or 0.0, k))
    examples = []
    for k in order:
        length = float(lengths[k])
        found = math.isfinite(length)
        difference, gain = difference_picture(x[k], points[k])
        shown = (data_uri(points[k]), data_uri(difference)) if found else ("", "")
        names = classes[int(y[k])], classes[int(answers[k])] if found else None
        examples.append(Example(int(index[k]), *names, certified[k], length, sources[k], gain, data_uri(x[k]), *shown))
    return Gallery(tuple(examples), reach, norm, _pixels(examples, x[order], points[order], norm))


def _pixels(examples: Sequence[Example], x: Tensor, points: Tensor, norm: Norm) -> AdversarialImages:
    radii = [e.radius for e in examples if e.radius is not None]
    return AdversarialImages(
        x,
        points,
        tuple(e.label for e in examples),
        tuple(e.answer or "" for e in examples),
        tuple(e.distance for e in examples),
        tuple(radii) if radii else None,
        norm,
    )


def _search(
    network: nn.Module, x: Tensor, y: Tensor, reach: float, norm: Norm, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    if norm == "linf":
        return _search_linf(network, x, y, reach, generator)
    # Twice the restarts and half as many steps and radii again came 2 % nearer on digits, at 3.5 times the cost.
    points, lengths = nearest_adversarial(
        network, x, y, max_radius=reach, n_radii=4, steps=20, restarts=1, generator=generator
    )
    return points, torch.where(torch.isfinite(lengths), distances(points, x, norm), torch.inf)


# Pull what was found closer along the segment to its image, and halve the ball until an attack finds no more.
def _search_linf(
    network: nn.Module, x: Tensor, y: Tensor, reach: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    points, lengths = x.clone(), torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
    low, high = torch.zeros_like(lengths), torch.full_like(lengths, reach)
    for k in range(_BISECTIONS):
        balls = high if k == 0 else (low + high) / 2
        found = linf_pgd(network, x, y, balls.to(x.dtype), steps=20, restarts=1, generator=generator)
        wrong = ~_right(network, found, y)
        found[wrong] = pulled_closer(network, x[wrong], y[wrong], found[wrong])
        reached = distances(found, x, "linf")
        nearer = wrong & (reached < lengths)
        points[nearer], lengths[nearer] = found[nearer], reached[nearer]
        high, low = torch.where(wrong, torch.minimum(balls, reached), high), torch.where(wrong, low, balls)
    return points, lengths


def _right(network: nn.Module, points: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return correct(network(points), y)


def _take_nearer(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    index: Tensor,
    attack: KeptPoints,
    norm: Norm,
    best: tuple[Tensor, Tensor, list[str]],
) -> None:
    # The points are of the weights and the images at hand only if they are misclassified, at the distance that is said.
    points, lengths, sources = best
    place = {number: k for k, number in enumerate(attack.index.tolist())}
    own = attack.attack.rpartition("-")[2]
    for k, number in enumerate(index.tolist()):
        at = place.get(number)
        if at is None or attack.points[at].shape != x[k].shape or int(attack.labels[at]) != int(y[k]):
            continue
        point = attack.points[at : at + 1].to(x.device)
        said = float(distances(point, x[k : k + 1], "linf" if own == "linf" else "l2"))
        length = float(distances(point, x[k : k + 1], norm))
        if abs(said - attack.distances[at]) > 1e-4 * (1 + said) or bool(_right(network, point, y[k : k + 1])[0]):
            continue
        if length < float(lengths[k]):
            points[k], lengths[k], sources[k] = point[0], length, attack.attack
