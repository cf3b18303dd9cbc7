"""A few of the points that an attack found, kept to be looked at."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.attacks import AttackCurve
from onelip.data import ImageData
from onelip.experiments.examples import N_NEAREST, choose_examples, margins_of
from onelip.experiments.files import atomic_path

MOST_BYTES = 4_000_000
"""Of larger images fewer are kept."""


@dataclass(frozen=True, eq=False)
class KeptPoints:
    """Adversarial images of one attack.

    Attributes:
        attack: Name and norm of the attack, such as "pgd-l2".
        index: `(n,)` numbers of the images, as in the attack's table.
        labels: `(n,)` their classes.
        distances: `(n,)` distances of the points in the norm of the attack.
        points: `(n, C, H, W)` float32.
    """

    attack: str
    index: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]
    points: Tensor


def keep_points(
    path: Path,
    network: nn.Module,
    samples: ImageData,
    index: Tensor,
    curve: AttackCurve,
    radii: npt.NDArray[Any] | None,
) -> None:
    """Write the points of the images that are shown, and of those that were changed most easily, into an npz file.

    Args:
        path: Where, `attack-KIND-NORM.npz`.
        network: The classifier that was attacked.
        samples: The images.
        index: `(N,)` their numbers.
        curve: What the attack found.
        radii: `(N,)` certified radii to choose by; without them margins are.
    """
    values = margins_of(network, samples) if radii is None else torch.from_numpy(np.asarray(radii, dtype=np.float64))
    changed = np.isfinite(curve.distances) & (curve.distances > 0)
    nearest = np.argsort(np.where(changed, curve.distances, np.inf), kind="stable")[:N_NEAREST]
    shown = choose_examples(values, samples.labels).numpy()
    # The order matters where they do not all fit.
    both = np.concatenate([nearest, shown])
    chosen = both[np.sort(np.unique(both, return_index=True)[1])]
    chosen = chosen[changed[chosen]][: max(1, MOST_BYTES // (4 * curve.points[0].numel()))]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            index=index.numpy()[chosen],
            labels=samples.labels.numpy()[chosen],
            distances=curve.distances[chosen],
            points=curve.points.numpy()[chosen].astype(np.float32),
        )


def read_points(path: Path) -> KeptPoints:
    """Read what `keep_points` wrote.

    Args:
        path: Where it is.

    Returns:
        The points.

    Raises:
        ValueError: If the file is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            index, labels, distances, points = (file[key] for key in ("index", "labels", "distances", "points"))
    except (OSError, KeyError, EOFError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path} does not hold the points of an attack: {error}") from error
    if not len(index) == len(labels) == len(distances) == len(points) or points.dtype != np.float32:
        raise ValueError(f"{path} does not hold the points of an attack: its arrays do not belong together")
    return KeptPoints(path.stem.removeprefix("attack-"), index, labels, distances, torch.from_numpy(points))
