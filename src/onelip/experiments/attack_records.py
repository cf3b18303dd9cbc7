"""An attack on images of a run, and the files that it leaves: shares in JSON, every image in CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from onelip.attacks import AttackCurve, attack_curves
from onelip.attacks.by_name import named_attack
from onelip.data import ImageData
from onelip.experiments.config_attack import Attack
from onelip.experiments.files import write_json_atomically, write_text_atomically
from onelip.experiments.kept_points import keep_points
from onelip.experiments.progress import work_bar
from onelip.experiments.run_folder import RunFolder

Norm = Literal["l2", "linf"]

COLUMNS = ("index", "label", "predicted", "success", "distance", "radius")


@dataclass(frozen=True, eq=False)
class Target:
    """What is attacked.

    Attributes:
        network: The classifier of pixels; whatever standardises them is inside.
        samples: The images.
        index: Their numbers among all images of the certificate, or of the test split, `(N,)`.
        epoch: The epoch of the weights, counted from 0.
        radii: `(N,)` certified radii, or None where nothing is certified.
        norm: Norm of the certificate, or None.
    """

    network: nn.Module
    samples: ImageData
    index: torch.Tensor
    epoch: int
    radii: npt.NDArray[Any] | None = None
    norm: Norm | None = None


def norm_of(options: Attack, certificate_norm: Norm | None) -> Norm:
    """Say in which norm a run is attacked.

    Args:
        options: The attack.
        certificate_norm: Norm of the run's certificate, if it has one.

    Returns:
        The norm that is asked for, else the certificate's, else l2; of an attack that knows one norm only, that one.
    """
    known = named_attack(options.kind).norms
    wanted: Norm = options.norm or certificate_norm or "l2"
    return wanted if wanted in known else known[0]


def attack_file(folder: RunFolder, options: Attack, run: Attack | None, certificate_norm: Norm | None) -> Path:
    """Say where the outcome of an attack goes, so that no attack overwrites what came of one of another name or norm.

    Args:
        folder: The run's folder.
        options: The attack.
        run: The attack of the run's configuration, or None.
        certificate_norm: Norm of the run's certificate, if it has one.

    Returns:
        `attack.json` for the attack of the configuration, in the norm of the certificate if there is one, else
        `attack-KIND-NORM.json`.
    """
    norm = norm_of(options, certificate_norm)
    if run is not None and options.kind == run.kind and norm == (certificate_norm or norm_of(run, None)):
        return folder.attack_file
    return folder.path / f"attack-{options.kind}-{norm}.json"


def rows_file(folder: RunFolder, kind: str, norm: str) -> Path:
    """Say where the rows of an attack go, one for each image.

    Args:
        folder: The run's folder.
        kind: Name of the attack.
        norm: Its norm.

    Returns:
        `attack-KIND-NORM.csv`.
    """
    return folder.path / f"attack-{kind}-{norm}.csv"


def attack_target(target: Target, options: Attack, seed: int, folder: RunFolder, file: Path) -> dict[str, Any]:
    """Attack images; write the accuracies, `attack-KIND-NORM.csv` with a row for each image, and some points as `.npz`.

    Args:
        target: The images, and what classifies them.
        options: The attack, its radii and its effort.
        seed: Seed of the random starts.
        folder: The run's folder.
        file: Where the accuracies go.

    Returns:
        What the file holds.
    """
    norm, own = norm_of(options, target.norm), options.options
    with work_bar("attacking") as progress:
        curves = attack_curves(
            target.network,
            target.samples.pixels(),
            target.samples.labels,
            options.radii,
            [options.kind],
            norm=norm,
            generator=torch.Generator().manual_seed(seed),
            certified=target.radii,
            certified_norm=target.norm,
            progress=progress,
            **own,
        )
    curve = tuple(curves.values())[-1]
    result = {
        "attack": options.kind,
        "norm": norm,
        **own,
        "samples": len(target.samples),
        "radii": list(curve.radii),
        "accuracy": list(curve.accuracy),
        "clean_on_same": curve.clean_accuracy,
        "never_changed": float(np.isinf(curve.distances).mean()),
        "seed": seed,
        "epoch": target.epoch + 1,
    }
    if len(curves) > 1:
        result["stages"] = {name: list(stage.accuracy) for name, stage in curves.items()}
    if target.radii is not None:
        result["certified_norm"] = target.norm
        result["certified_on_same"] = _certified(target, norm, curve.radii)
    write_text_atomically(rows_file(folder, options.kind, norm), _rows(target, curve))
    points = folder.path / f"attack-{options.kind}-{norm}.npz"
    keep_points(points, target.network, target.samples, target.index, curve, target.radii)
    write_json_atomically(file, result)
    return result


def read_attacks(folder: RunFolder, epoch: int) -> list[dict[str, Any]]:
    """Read what came of all attacks on the weights that a run keeps.

    Args:
        folder: The run's folder.
        epoch: The epoch of the weights, counted from 0; attacks on others are left out.

    Returns:
        What the files hold.
    """
    files = sorted(folder.path.glob("attack-*.json")) + [folder.attack_file] * folder.attack_file.exists()
    found = [json.loads(file.read_text("utf-8")) for file in files]
    return [one for one in found if one.get("epoch") == epoch + 1]


def _certified(target: Target, norm: Norm, radii: tuple[float, ...]) -> list[float]:
    # An l_inf ball is inside of the l2 ball of sqrt(n) times its radius, an l2 ball inside of the l_inf ball of its.
    n = target.samples.pixels(slice(0, 1)).numel()
    factor = math.sqrt(n) * (1 + 1e-12) if (target.norm, norm) == ("l2", "linf") else 1.0
    return [float((np.asarray(target.radii) > factor * radius).mean()) for radius in radii]


def _rows(target: Target, curve: AttackCurve) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "certified"] if target.radii is not None else COLUMNS)
    for i, (number, label) in enumerate(zip(target.index.tolist(), target.samples.labels.tolist(), strict=True)):
        distance, radius = _point(float(curve.distances[i]), curve.radii)
        row = [number, label, int(curve.predictions[i]), int(distance is not None), distance, radius]
        writer.writerow(row if target.radii is None else [*row, float(target.radii[i])])
    return text.getvalue()


def _point(distance: float, radii: tuple[float, ...]) -> tuple[float | None, float | None]:
    # How far the point is, and the smallest radius of the attack that reaches it.
    if math.isinf(distance):
        return None, None
    return distance, next((radius for radius in radii if distance <= radius), None)
