"""The plot of an attack: accuracy against the radius, under the attack and certified."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.attacks.by_name import named_attack
from onelip.experiments.attack_records import rows_file
from onelip.experiments.files import atomic_path
from onelip.experiments.run_folder import RunFolder
from onelip.pictures.accuracy import certified_curve, radius_limit
from onelip.pictures.canvas import new_figure, plain_axes
from onelip.pictures.colours import ATTACK, ATTACKS, CLEAN, PROVED

Steps = tuple[list[float], list[float]]
"""Radii, and the share that each brings."""


def write_attack_figure(folder: RunFolder, attack: Mapping[str, Any]) -> Path:
    """Draw what an attack left of the accuracy, and what is certified of the same images.

    Args:
        folder: The run's folder, with the rows of the attack.
        attack: What the file of the attack holds.

    Returns:
        Path of `attack-NAME-NORM.png` in the folder.
    """
    rows = rows_file(folder, attack["attack"], attack["norm"])
    path = rows.with_suffix(".png")
    with atomic_path(path) as temporary:
        _draw(attack, _column(rows, "distance"), _column(rows, "certified"), temporary)
    return path


def attacked_steps(attack: Mapping[str, Any], distances: npt.NDArray[np.float64], limit: float) -> Steps:
    """List where the accuracy under an attack falls.

    Args:
        attack: What the file of the attack holds.
        distances: `(N,)` distance of the point found for each image, infinite if none was found.
        limit: Largest radius of interest.

    Returns:
        Radii, and the accuracy from each to the next: the radii that were searched, or, of an attack that looks for
        the nearest points, every distance.
    """
    if named_attack(attack["attack"]).nearest:
        radii = [0.0, *np.unique(distances[(distances > 0) & (distances < limit)]).tolist(), limit]
        return radii, [float((distances > radius).mean()) for radius in radii]
    return [0.0, *attack["radii"]], [attack["clean_on_same"], *attack["accuracy"]]


def certified_steps(attack: Mapping[str, Any], certified: npt.NDArray[np.float64], limit: float) -> Steps:
    """List where the certified accuracy falls.

    Args:
        attack: What the file of the attack holds.
        certified: `(N,)` certified radii in the norm of the certificate.
        limit: Largest radius of interest.

    Returns:
        Radii, and the share from each to the next. Where the norm of the attack is another one, each share is that of
        the next radius of the attack, which is proved there and so before it.
    """
    if attack["certified_norm"] == attack["norm"]:
        radii, shares = zip(*certified_curve(certified, limit), strict=True)
        return list(radii), list(shares)
    last = attack["certified_on_same"][-1]
    return [0.0, *attack["radii"]], [*attack["certified_on_same"], last]


def _column(path: Path, name: str) -> npt.NDArray[np.float64]:
    with path.open(encoding="utf-8") as file:
        return np.array([float(row[name] or math.inf) for row in csv.DictReader(file) if name in row])


def _draw(
    attack: Mapping[str, Any], distances: npt.NDArray[np.float64], certified: npt.NDArray[np.float64], path: Path
) -> None:
    norm, nearest = attack["norm"], named_attack(attack["attack"]).nearest
    reached = distances[np.isfinite(distances) & nearest]
    same_norm = attack.get("certified_norm") == norm
    limit = radius_limit([*reached, *(certified if same_norm else [])], attack["radii"])
    figure = new_figure(6.4, 3.8)
    axes = plain_axes(figure)
    axes.axhline(100 * attack["clean_on_same"], color=CLEAN, linestyle=(0, (5, 4)), linewidth=1.2, label="clean")
    before = list(attack.get("stages", {}).items())[:-1]
    for (name, shares), (colour, dash, _) in zip(before, itertools.cycle(ATTACKS[1:]), strict=False):
        steps = [0.0, *attack["radii"]], [attack["clean_on_same"], *shares]
        axes.step(*_percent(steps), where="post", color=colour, linestyle=dash, linewidth=1.2, label=f"after {name}")
    steps = attacked_steps(attack, distances, limit)
    axes.step(
        *_percent(steps),
        where="post",
        color=ATTACK,
        linewidth=1.6,
        marker="" if nearest else "o",
        markersize=4.5,
        label=f"under {attack['attack']}",
    )
    if len(certified):
        radii, percent = _percent(certified_steps(attack, certified, limit))
        axes.step(radii, percent, where="post", color=PROVED, linewidth=2, label="certified")
        axes.fill_between(radii, percent, step="post", color=PROVED, alpha=0.12, linewidth=0)
    title = f"{attack['samples']:,} images of the test split"
    axes.set(xlim=(0, limit), ylim=(0, 102), xlabel=f"{norm} radius", ylabel="accuracy (%)", title=title)
    axes.legend(frameon=False)
    figure.savefig(path, format="png", dpi=200)


def _percent(steps: Steps) -> Steps:
    return steps[0], [100 * share for share in steps[1]]
