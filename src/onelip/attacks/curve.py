"""Accuracy under attack as a function of the radius, and the check that no certificate is contradicted."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.attacks.ball import Norm, distances
from onelip.attacks.by_name import AttackName, named_attack
from onelip.attacks.objectives import margin
from onelip.attacks.pgd import evaluating, margins

Progress = Callable[[int, int], None]


class CertificateViolatedError(RuntimeError):
    """An attack changed a prediction inside of its certified radius: the certificate is wrong.

    Args:
        index: Number of the sample.
        distance: Distance of the misclassified point, in the norm of the certificate.
        radius: The certified radius.
    """

    def __init__(self, index: int, distance: float, radius: float) -> None:
        self.index = index
        super().__init__(
            f"sample {index} is certified within {radius:.9g} but an attack changed its answer at distance "
            f"{distance:.9g}: the certificate, or the model that was given, is wrong"
        )


@dataclass(frozen=True)
class AttackCurve:
    """How accuracy falls with the radius of an attack.

    Attributes:
        radii: In the norm of the attack, increasing.
        accuracy: Share of samples still classified rightly at each radius.
        distances: `(N,)` distance of the misclassified point found for each sample; 0 if the sample itself is
            misclassified, infinite if none was found.
        predictions: `(N,)` class of that point; of the sample itself, which is the label, if none was found.
        points: `(N, ...)` that point, on the CPU; the sample itself if it is misclassified or none was found.
    """

    radii: tuple[float, ...]
    accuracy: tuple[float, ...]
    distances: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.int64]
    points: Tensor

    @property
    def clean_accuracy(self) -> float:
        """Share of samples that are classified rightly without attack."""
        return float((self.distances > 0).mean())


def attack_curve(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Sequence[float],
    *,
    attack: AttackName = "pgd",
    norm: Norm = "l2",
    box: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
    batch_size: int = 128,
    certified: npt.NDArray[Any] | Tensor | None = None,
    certified_norm: Norm | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> AttackCurve:
    """Attack samples at growing radii; what falls at one radius has fallen at all larger ones.

    An attack that looks for the nearest misclassified point ("cw") runs once, and its distances give the curve.

    Args:
        model: A classifier of `images`, in their units: normalisation belongs into the model. Left as it was.
        images: `(N, ...)` floating point, inside the box.
        labels: `(N,)`.
        radii: Radii >= 0 in any order, in the units of `images`.
        attack: Projected gradient descent, APGD on cross-entropy, targeted APGD, the fast gradient sign method, the
            basic or the momentum iterative method, or Carlini and Wagner's.
        norm: Norm of the balls.
        box: Smallest and largest pixel.
        generator: For the starting points.
        batch_size: Samples attacked at a time.
        certified: `(N,)` certified radii to check the attack against, or None.
        certified_norm: Norm of the certified radii; that of the attack by default.
        progress: Called as `progress(done, total)` with numbers of balls searched.
        **options: The attack's own, see its function: such as steps (40), restarts (5), step_size or confidence.

    Returns:
        The accuracies.

    Raises:
        CertificateViolatedError: If a point is misclassified within its certified radius.
        ValueError: If there is no image or no radius, a radius is negative, `batch_size` is below 1, or there is no
            such attack, norm of it, or option of it.
    """
    if len(images) == 0 or batch_size < 1:
        raise ValueError(f"images={len(images)}, batch_size={batch_size} of an attack must both be at least 1")
    ordered = sorted(float(r) for r in radii)
    if not ordered or not ordered[0] >= 0:
        raise ValueError(f"radii={list(radii)} in attack_curve must hold at least one number >= 0, and no other")
    chosen = named_attack(attack)
    search = chosen.search(norm, options, box=box, generator=generator)
    limits = None if certified is None else np.asarray(certified, dtype=np.float64)
    parts = []
    with evaluating(model):
        for start in range(0, len(images), batch_size):
            batch = _Batch(model, images[start : start + batch_size], labels[start : start + batch_size], norm, start)
            if limits is not None:
                batch.protect(limits[start : start + batch_size], certified_norm or norm)
            for done, radius in enumerate([math.inf] if chosen.nearest else ordered, 1):
                batch.attack(search, radius)
                if progress is not None:
                    n, balls = len(batch.x), 1 if chosen.nearest else len(ordered)
                    progress(start * balls + done * n, len(images) * balls)
            parts.append((batch.distances, batch.predictions, batch.points.numpy()))
    reached, predictions, points = (np.concatenate(column) for column in zip(*parts, strict=True))
    accuracy = tuple(float((reached > radius).mean()) for radius in ordered)
    return AttackCurve(tuple(ordered), accuracy, reached, predictions, torch.from_numpy(points))


class _Batch:
    """Samples, and what has been found for each of them so far."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, norm: Norm, first: int) -> None:
        self.model, self.x, self.y, self.norm, self.first = model, x, y, norm, first
        wrong, answers = _wrong(model, x, y)
        self.distances = torch.where(wrong, 0.0, torch.inf).double().cpu().numpy()
        self.predictions = answers.cpu().numpy()
        self.points = x.detach().cpu().clone()
        self.limits: tuple[npt.NDArray[np.float64], Norm] | None = None

    def protect(self, limits: npt.NDArray[np.float64], norm: Norm) -> None:
        self.limits = limits, norm

    def attack(self, search: Callable[..., Any], radius: float) -> None:
        # Search the balls of the samples that are still right; without a radius, look for the nearest points.
        index = np.flatnonzero(np.isinf(self.distances))
        if radius == 0 or len(index) == 0:
            return
        chosen = torch.from_numpy(index).to(self.x.device)
        x, y = self.x[chosen], self.y[chosen]
        points = search(self.model, x, y, radius) if math.isfinite(radius) else search(self.model, x, y)[0]
        wrong, answers = (t.cpu().numpy() for t in _wrong(self.model, points, y))
        # Float32 rounding may leave the ball by an ulp.
        reached = distances(points, x, self.norm).cpu().numpy().clip(max=radius)
        self.distances[index[wrong]], self.predictions[index[wrong]] = reached[wrong], answers[wrong]
        self.points[torch.from_numpy(index[wrong])] = points.detach().cpu()[torch.from_numpy(wrong)]
        if self.limits is not None:
            limits, norm = self.limits
            lengths = reached if norm == self.norm else distances(points, x, norm).cpu().numpy()
            _compare(self.model, points, y, np.where(wrong, lengths, np.inf), limits[index], self.first + index)


def _wrong(model: nn.Module, points: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    # Which points are misclassified, and the class of each; a tie still counts as right, a lack of numbers does not.
    with torch.no_grad():
        logits = model(points)
    wrong = ~(margin(logits, y) >= 0)
    return wrong, torch.where(wrong, logits.argmax(1), y)


def _compare(
    model: nn.Module,
    found: Tensor,
    y: Tensor,
    reached: npt.NDArray[np.float64],
    limits: npt.NDArray[np.float64],
    names: npt.NDArray[np.int64],
) -> None:
    inside = np.flatnonzero(reached <= limits)
    if len(inside) == 0:
        return
    # A flip in float32 right at the border may be rounding; the certificate is about exact arithmetic.
    exact = copy.deepcopy(model).double()
    chosen = torch.from_numpy(inside).to(found.device)
    wrong = (margins(exact, found[chosen].double(), y[chosen]) < 0).cpu().numpy()
    for i in inside[wrong]:
        raise CertificateViolatedError(int(names[i]), float(reached[i]), float(limits[i]))
