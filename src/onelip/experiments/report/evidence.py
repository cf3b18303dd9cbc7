"""What a page shows of the network itself: measured anew from the run's checkpoint and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.attacks.ball import Norm
from onelip.data import ImageData, Images
from onelip.experiments.checkpoints import load_best_weights
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.evaluation import even_index, load_certified, plain_network
from onelip.experiments.examples import N_NEAREST, choose_examples, margins_of
from onelip.experiments.kept_points import KeptPoints
from onelip.experiments.preparation import prepare
from onelip.experiments.progress import work_bar
from onelip.experiments.report.gallery import Gallery, make_gallery
from onelip.experiments.report.record import RunRecord
from onelip.layers import MirrorAverage
from onelip.pictures import ClassGradients, DepthProfile, PixelMargins, class_gradients, depth_profile, pixel_margins

N_MARGINS = 2000
"""The margins of at most so many images are measured, evenly spread."""

N_DEPTH = 500
"""The variances are those over so many images."""

N_ORDINARY = 500
"""Without an attack in the configuration, images of an ordinary run are chosen from so many."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was measured.

    Attributes:
        margins: Of the images at hand.
        radii: Their certified radii, or None.
        depth: The variance through the network, or None if it cannot be followed.
        depth_absent: Why not.
        gradients: Of the logits at an image of each class.
        gallery: Adversarial images.
        classes: Name of each class.
    """

    margins: PixelMargins
    radii: npt.NDArray[np.float64] | None
    depth: DepthProfile | None
    depth_absent: str
    gradients: ClassGradients
    gallery: Gallery
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Subject:
    network: nn.Module
    images: Images
    config: ExperimentConfig
    classes: tuple[str, ...]
    radii: Tensor | None = None
    norm: Norm = "l2"
    lipschitz: float | None = None


def evidence_of_run(record: RunRecord) -> Evidence:
    """Measure the network that a run keeps.

    Args:
        record: What the run has recorded.

    Returns:
        What was measured.

    Raises:
        UserError: If the configuration, the data or the checkpoint cannot be read, or are not those of the certificate.
    """
    subject = _subject(record)
    seed = int((record.results or {}).get("seed", 0))
    with work_bar("searching adversarial images"):
        chosen = even_index(len(subject.images), N_MARGINS)
        samples = subject.images.subset(chosen).in_memory()
        depth, reason = _depth(subject.network, samples)
        return Evidence(
            margins=_margins(subject, samples),
            radii=None if subject.radii is None else subject.radii[chosen].numpy(),
            depth=depth,
            depth_absent=reason,
            gradients=class_gradients(subject.network, samples.pixels(), samples.labels, norm=subject.norm),
            gallery=_gallery(subject, record.kept, seed),
            classes=subject.classes,
        )


def _subject(record: RunRecord) -> _Subject:
    experiment = prepare(record.folder.config())
    classes = tuple(experiment.data.classes)
    if record.certificate is None:
        load_best_weights(experiment.model, record.folder)
        network = plain_network(experiment.model.cpu())
        return _Subject(network, experiment.data.test, experiment.config, classes)
    certified = load_certified(experiment, record.folder)
    radii = torch.from_numpy(np.asarray(certified.certificate.radii, dtype=np.float64).copy())
    bound, norm = certified.certificate.bound, certified.certificate.norm
    constant = bound.value if 0 < bound.value < float("inf") else None
    return _Subject(certified.network, certified.samples, experiment.config, classes, radii, norm, constant)


def _margins(subject: _Subject, samples: ImageData) -> PixelMargins:
    with torch.no_grad():
        parts = torch.arange(len(samples)).split(256)
        logits = torch.cat([subject.network(samples.pixels(part)) for part in parts])
    return pixel_margins(logits, samples.labels, lipschitz=subject.lipschitz, norm=subject.norm)


def _depth(network: nn.Module, samples: ImageData) -> tuple[DepthProfile | None, str]:
    if isinstance(network, MirrorAverage):
        # Of the average over mirror images, the network that sees the images as they are.
        network = nn.Sequential(network.body, network.head)
    images = samples.subset(even_index(len(samples), N_DEPTH)).pixels()
    try:
        return depth_profile(network, images), ""
    except ValueError as error:
        return None, f"The parts of the network cannot be followed: {error}."


def _gallery(subject: _Subject, kept: Sequence[KeptPoints], seed: int) -> Gallery:
    index = _chosen(subject)
    nearest = [number for attack in kept for number in attack.index[np.argsort(attack.distances)][:N_NEAREST]]
    added = [n for n in dict.fromkeys(map(int, nearest)) if n < len(subject.images) and n not in set(index.tolist())]
    index = torch.cat([index, torch.tensor(added[:N_NEAREST], dtype=torch.int64)])
    index = index[margins_of(subject.network, subject.images.subset(index).in_memory()) > 0] if len(index) else index
    radii = None if subject.radii is None else subject.radii[index]
    return make_gallery(
        subject.network, subject.images, index, subject.classes, radii=radii, norm=subject.norm, kept=kept, seed=seed
    )


def _chosen(subject: _Subject) -> Tensor:
    if subject.radii is not None:
        return choose_examples(subject.radii, subject.images.labels)
    attack = subject.config.attack
    numbers = even_index(len(subject.images), N_ORDINARY if attack is None else attack.samples)
    samples = subject.images.subset(numbers).in_memory()
    return numbers[choose_examples(margins_of(subject.network, samples), samples.labels)]
