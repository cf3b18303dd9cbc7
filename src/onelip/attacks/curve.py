"""Accuracy under attack as a function of the radius, and the check that no certificate is contradicted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.attacks.pgd import attacked, l2_pgd, misclassified

Progress = Callable[[int, int], None]


class CertificateViolated(RuntimeError):  # noqa: N818  (reads as what it says)
    """An attack changed a prediction inside of its certified radius: the certificate is wrong.

    Args:
        index: Number of the sample.
        distance: l2 distance of the misclassified point.
        radius: The certified radius.
    """

    def __init__(self, index: int, distance: float, radius: float) -> None:
        self.index = index
        super().__init__(
            f"sample {index} is misclassified at l2 distance {distance:.9g}, within its certified radius {radius:.9g}; "
            f"the certificate or the code that made it is wrong"
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


def attack_curve(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Sequence[float],
    *,
    steps: int = 40,
    restarts: int = 5,
    loss: str = "margin",
    box: tuple[float, float] | None = (0.0, 1.0),
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
        radii: l2 radii >= 0 in any order.
        steps: Gradient steps per restart.
        restarts: Starting points per ball.
        loss: "margin" or "cross_entropy".
        box: Smallest and largest pixel, or None.
        generator: For the starting points.
        batch_size: Samples attacked at a time.
        certified: `(N,)` certified radii to check the attack against, or None.
        progress: Called as `progress(done, total)` with numbers of balls searched.

    Returns:
        The accuracies.

    Raises:
        CertificateViolated: If a point is misclassified within its certified radius.
        ValueError: If `radii` is empty or a radius is negative.
    """
    ordered = sorted(float(r) for r in radii)
    if not ordered or not ordered[0] >= 0:
        raise ValueError(f"radii={list(radii)} in attack_curve must hold at least one number >= 0, and no other")
    limits = None if certified is None else np.asarray(certified, dtype=np.float64)
    distances = np.full(len(images), np.inf)
    with attacked(model):
        for start in range(0, len(images), batch_size):
            x, y = images[start : start + batch_size], labels[start : start + batch_size]
            distances[start : start + len(x)][misclassified(model, x, y).cpu().numpy()] = 0
            for done, radius in enumerate(ordered):
                index = np.flatnonzero(np.isinf(distances[start : start + len(x)]))
                if radius > 0 and len(index):
                    chosen = torch.from_numpy(index).to(x.device)
                    found = l2_pgd(
                        model, x[chosen], y[chosen], radius,
                        steps=steps, restarts=restarts, loss=loss, box=box, generator=generator,
                    )  # fmt: skip
                    reached = _distances(model, x[chosen], y[chosen], found)
                    distances[start + index] = reached
                    if limits is not None:
                        _compare(model, found, y[chosen], reached, limits[start + index], start + index)
                if progress is not None:
                    progress(start * len(ordered) + (done + 1) * len(x), len(images) * len(ordered))
    accuracy = tuple(float((distances > radius).mean()) for radius in ordered)
    return AttackCurve(tuple(ordered), accuracy, distances)


def _distances(model: nn.Module, x: Tensor, y: Tensor, found: Tensor) -> npt.NDArray[np.float64]:
    lengths = torch.linalg.vector_norm((found.double() - x.double()).flatten(1), dim=1)
    return torch.where(misclassified(model, found, y), lengths, torch.inf).cpu().numpy()


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
    wrong = misclassified(exact, found[chosen].double(), y[chosen]).cpu().numpy()
    for i in inside[wrong]:
        raise CertificateViolated(int(names[i]), float(reached[i]), float(limits[i]))
