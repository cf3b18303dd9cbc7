"""Accuracy under attack as a function of the radius, and the check that no certificate is contradicted."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.attacks import ball
from onelip.attacks.apgd import apgd
from onelip.attacks.ball import Norm
from onelip.attacks.pgd import evaluating, l2_pgd, linf_pgd, margins

Progress = Callable[[int, int], None]

AttackName = Literal["pgd", "apgd-ce", "apgd-t"]


class CertificateViolatedError(RuntimeError):
    """An attack changed a prediction inside of its certified radius: the certificate is wrong.

    Args:
        index: Number of the sample.
        distance: l2 distance of the misclassified point.
        radius: The certified radius.
    """

    def __init__(self, index: int, distance: float, radius: float) -> None:
        self.index = index
        super().__init__(
            f"sample {index} is certified within {radius:.9g} but an attack changed its answer at l2 distance "
            f"{distance:.9g}: the certificate, or the model that was given, is wrong"
        )


@dataclass(frozen=True)
class AttackCurve:
    """How accuracy falls with the radius of an attack.

    Attributes:
        radii: l2, increasing.
        accuracy: Share of samples still classified rightly at each radius.
        distances: `(N,)` l2 distance of the misclassified point found for each sample; 0 if the sample itself is
            misclassified, infinite if none was found.
    """

    radii: tuple[float, ...]
    accuracy: tuple[float, ...]
    distances: npt.NDArray[np.float64]

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
    steps: int = 40,
    restarts: int = 5,
    box: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
    batch_size: int = 128,
    certified: npt.NDArray[Any] | Tensor | None = None,
    progress: Progress | None = None,
) -> AttackCurve:
    """Attack samples at growing radii; what falls at one radius has fallen at all larger ones.

    Args:
        model: A classifier; left as it was.
        images: `(N, ...)` floating point.
        labels: `(N,)`.
        radii: Radii >= 0 in any order.
        attack: Projected gradient descent, APGD on cross-entropy, or targeted APGD.
        norm: Norm of the balls.
        steps: Gradient steps per restart.
        restarts: Starting points per ball.
        box: Smallest and largest pixel.
        generator: For the starting points.
        batch_size: Samples attacked at a time.
        certified: `(N,)` certified radii to check the attack against, or None.
        progress: Called as `progress(done, total)` with numbers of balls searched.

    Returns:
        The accuracies.

    Raises:
        CertificateViolatedError: If a point is misclassified within its certified radius.
        ValueError: If there is no image or no radius, a radius is negative, `batch_size` is below 1, or there is no
            such attack.
    """
    if len(images) == 0 or batch_size < 1:
        raise ValueError(f"images={len(images)}, batch_size={batch_size} of an attack must both be at least 1")
    ordered = sorted(float(r) for r in radii)
    if not ordered or not ordered[0] >= 0:
        raise ValueError(f"radii={list(radii)} in attack_curve must hold at least one number >= 0, and no other")
    search = _search(model, attack, norm)
    effort: dict[str, Any] = {"steps": steps, "restarts": restarts, "box": box, "generator": generator}
    limits = None if certified is None else np.asarray(certified, dtype=np.float64)
    distances = np.full(len(images), np.inf)
    with evaluating(model):
        for start in range(0, len(images), batch_size):
            x, y = images[start : start + batch_size], labels[start : start + batch_size]
            distances[start : start + len(x)][(margins(model, x, y) < 0).cpu().numpy()] = 0
            for done, radius in enumerate(ordered):
                index = np.flatnonzero(np.isinf(distances[start : start + len(x)]))
                if radius > 0 and len(index):
                    chosen = torch.from_numpy(index).to(x.device)
                    found = search(x[chosen], y[chosen], radius, **effort)
                    # Float32 rounding may leave the ball by an ulp.
                    reached = _distances(model, x[chosen], y[chosen], found, norm)
                    reached[np.isfinite(reached)] = reached[np.isfinite(reached)].clip(max=radius)
                    distances[start + index] = reached
                    if limits is not None:
                        _compare(model, found, y[chosen], reached, limits[start + index], start + index)
                if progress is not None:
                    progress(start * len(ordered) + (done + 1) * len(x), len(images) * len(ordered))
    accuracy = tuple(float((distances > radius).mean()) for radius in ordered)
    return AttackCurve(tuple(ordered), accuracy, distances)


def _search(model: nn.Module, attack: AttackName, norm: Norm) -> Callable[..., Tensor]:
    if attack not in get_args(AttackName):
        raise ValueError(f"attack={attack!r} in attack_curve must be one of {', '.join(get_args(AttackName))}")
    if attack == "pgd":
        return functools.partial(l2_pgd if norm == "l2" else linf_pgd, model)
    return functools.partial(apgd, model, norm=norm, loss="ce" if attack == "apgd-ce" else "targeted-dlr")


def _distances(model: nn.Module, x: Tensor, y: Tensor, found: Tensor, norm: Norm) -> npt.NDArray[np.float64]:
    lengths = ball.distances(found, x, norm)
    return torch.where(margins(model, found, y) < 0, lengths, torch.inf).cpu().numpy()


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
