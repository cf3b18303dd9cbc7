"""Accuracy under attack as a function of the radius, and the check that no certificate is contradicted."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Mapping, Sequence
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

LEAST_CLASSES = 4
"""Of the loss of targeted APGD."""

_ROUNDING = 1e-5
"""How far a point of a ball may lie outside of it: each of its pixels is rounded to float32."""


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

    An attack that looks for the nearest misclassified point ("cw") runs once, and its distances give the curve. "apgd"
    runs PGD, APGD on cross-entropy and targeted APGD, each on what those before it left: see `attack_curves`.

    Args:
        model: A classifier of `images`, in their units: normalisation belongs into the model. Left as it was.
        images: `(N, ...)` floating point, inside the box.
        labels: `(N,)`.
        radii: Radii >= 0 in any order, in the units of `images`.
        attack: Its name.
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
    curves = attack_curves(
        model,
        images,
        labels,
        radii,
        [attack],
        norm=norm,
        box=box,
        generator=generator,
        batch_size=batch_size,
        certified=certified,
        certified_norm=certified_norm,
        progress=progress,
        **options,
    )
    return tuple(curves.values())[-1]


def attack_curves(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Sequence[float],
    attacks: Sequence[AttackName],
    *,
    norm: Norm = "l2",
    box: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
    batch_size: int = 128,
    certified: npt.NDArray[Any] | Tensor | None = None,
    certified_norm: Norm | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, AttackCurve]:
    """Attack samples by one attack after the other, each at every radius and on what those before it left.

    So curves fall from one attack to the next, and the last one is the worst case over all of them. The first one is
    to the bit what the attack finds alone with the same seed.

    Args:
        model: A classifier of `images`, in their units: normalisation belongs into the model. Left as it was.
        images: `(N, ...)` floating point, inside the box.
        labels: `(N,)`.
        radii: Radii >= 0 in any order, in the units of `images`.
        attacks: Their names, in order; "apgd" stands for "pgd", "apgd-ce" and "apgd-t" (once for each target; with the
            margin for fewer than four classes).
        norm: Norm of the balls.
        box: Smallest and largest pixel.
        generator: For the starting points.
        batch_size: Samples attacked at a time.
        certified: `(N,)` certified radii to check the attacks against, or None.
        certified_norm: Norm of the certified radii; that of the attacks by default.
        progress: Called as `progress(done, total)` with numbers of balls searched.
        **options: Those of the attacks; each attack takes those that it has.

    Returns:
        The curve of each attack with those before it, by its name.

    Raises:
        CertificateViolatedError: If a point is misclassified within its certified radius.
        ValueError: If there is no image, radius or attack, a radius is negative, `batch_size` is below 1, or there is
            no such attack, norm of it, or option of any of them.
    """
    if len(images) == 0 or batch_size < 1:
        raise ValueError(f"images={len(images)}, batch_size={batch_size} of an attack must both be at least 1")
    ordered = sorted(float(r) for r in radii)
    if not ordered or not ordered[0] >= 0:
        raise ValueError(f"radii={list(radii)} of an attack must hold at least one number >= 0, and no other")
    with evaluating(model):
        with torch.no_grad():
            n_classes = model(images[:1]).shape[1]
        stages = _staged(attacks, norm, options, n_classes, {"box": box, "generator": generator})
        limits = None if certified is None else np.asarray(certified, dtype=np.float64)
        batches = []
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            batches.append(_Batch(model, images[part], labels[part], norm, start))
            if limits is not None:
                batches[-1].protect(limits[part], certified_norm or norm)
        curves, done = {}, 0
        total = len(images) * sum(1 if stage.nearest else len(ordered) for stage in stages)
        for stage in stages:
            for batch in batches:
                for radius in [math.inf] if stage.nearest else ordered:
                    batch.attack(stage.search, radius)
                    done += len(batch.x)
                    if progress is not None:
                        progress(done, total)
            curves[stage.name] = _curve(batches, ordered)
    return curves


@dataclass(frozen=True)
class _Stage:
    name: str
    search: Callable[..., Any]
    nearest: bool


def _staged(
    attacks: Sequence[AttackName], norm: Norm, options: Mapping[str, Any], n_classes: int, supplied: Mapping[str, Any]
) -> list[_Stage]:
    chosen = [named_attack(name) for name in attacks]
    if not chosen:
        raise ValueError("attacks=[] of attack_curves must name at least one attack")
    known = {key for attack in chosen for key in attack.defaults}
    for attack in chosen:
        attack.check(norm, {k: v for k, v in options.items() if k in attack.defaults or k not in known})
    stages = []
    for attack in chosen:
        for name in attack.stages:
            part = named_attack(name)
            own = {k: v for k, v in {**attack.defaults, **options}.items() if k in part.defaults}
            targeted = name == "apgd-t" and len(attack.stages) > 1
            search = part.search(norm, own | ({"restarts": 1} if targeted else {}), **supplied)
            if targeted and n_classes < LEAST_CLASSES:
                search = functools.partial(search, loss="margin")
            stages.append(_Stage(name, search, part.nearest))
    return stages


def _curve(batches: Sequence[_Batch], radii: Sequence[float]) -> AttackCurve:
    reached = np.concatenate([batch.distances for batch in batches])
    predictions = np.concatenate([batch.predictions for batch in batches])
    points = torch.cat([batch.points for batch in batches])
    return AttackCurve(tuple(radii), tuple(float((reached > r).mean()) for r in radii), reached, predictions, points)


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
        # Search the balls in which nothing is known to be wrong; without a radius, look for the nearest points.
        index = np.flatnonzero(self.distances > (radius if math.isfinite(radius) else 0.0))
        if radius == 0 or len(index) == 0:
            return
        chosen = torch.from_numpy(index).to(self.x.device)
        x, y = self.x[chosen], self.y[chosen]
        points = search(self.model, x, y, radius) if math.isfinite(radius) else search(self.model, x, y)[0]
        wrong, answers = (t.cpu().numpy() for t in _wrong(self.model, points, y))
        lengths = distances(points, x, self.norm).cpu().numpy()
        # Float32 rounding may leave the ball by an ulp of each pixel; a point farther out is no point of the ball.
        wrong &= lengths <= radius + _ROUNDING * (1 + radius)
        reached = lengths.clip(max=radius)
        nearer = wrong & (reached < self.distances[index])
        self.distances[index[nearer]], self.predictions[index[nearer]] = reached[nearer], answers[nearer]
        self.points[torch.from_numpy(index[nearer])] = points.detach().cpu()[torch.from_numpy(nearer)]
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
