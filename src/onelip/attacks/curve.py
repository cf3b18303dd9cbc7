"""Accuracy under attack against the radius, checked against a certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.attacks.ball import row_norm
from onelip.attacks.pgd import l2_pgd, margins


class CertificateViolatedError(Exception):
    """An attack changed an answer inside a certified radius.

    Args:
        index: Number of the sample.
        distance: l2 distance of the adversarial sample.
        radius: Radius that was certified.
    """

    def __init__(self, index: int, distance: float, radius: float) -> None:
        super().__init__(
            f"sample {index} is certified within {radius:.6g} but an attack changed its answer at distance "
            f"{distance:.6g}: the certificate or the model given is wrong"
        )
        self.index, self.distance, self.radius = index, distance, radius


@dataclass(frozen=True)
class AttackCurve:
    """Accuracy under attack.

    Attributes:
        radii: Attacked radii in ascending order, l2, in the units of the input.
        accuracy: Share of samples still classified correctly at each radius.
        clean_accuracy: Share classified correctly without attack.
        distances: (N,) distance at which each sample was first flipped; 0 if wrong from the start, inf if never.
    """

    radii: tuple[float, ...]
    accuracy: tuple[float, ...]
    clean_accuracy: float
    distances: Tensor


def attack_curve(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Sequence[float],
    *,
    certified_radii: Tensor | None = None,
    steps: int = 40,
    restarts: int = 5,
    batch_size: int = 256,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> AttackCurve:
    """Attack every sample at every radius with l2 PGD, in ascending order.

    A sample flipped at one radius counts as flipped at every larger one.

    Args:
        model: Classifier of (N, C, H, W) images in [0, 1].
        images: (N, C, H, W) images.
        labels: (N,) labels.
        radii: Radii to attack, l2, in the units of the images.
        certified_radii: (N,) certified radii to hold against the attack, or None.
        steps: Gradient steps of each restart.
        restarts: Starts at each radius.
        batch_size: Samples attacked at once.
        seed: Seed of the random starts.
        progress: Called with (samples done, samples in all).

    Returns:
        The curve.

    Raises:
        CertificateViolatedError: If an answer changed inside the certified radius of its sample.
        ValueError: If there are no images, or batch_size is below 1.
    """
    if len(images) == 0 or batch_size < 1:
        raise ValueError(f"images={len(images)}, batch_size={batch_size} of an attack must both be at least 1")
    ascending = sorted(radii)
    distances = torch.full((len(images),), torch.inf, dtype=torch.float64)
    generator = torch.Generator(device=images.device).manual_seed(seed)
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        distances[part] = _attack_batch(model, images[part], labels[part], ascending, steps, restarts, generator)
        if progress is not None:
            progress(min(start + batch_size, len(images)), len(images))
    if certified_radii is not None:
        _hold_against(distances, certified_radii)
    accuracy = tuple(float((distances > r).double().mean()) for r in ascending)
    return AttackCurve(tuple(ascending), accuracy, float((distances > 0).double().mean()), distances)


def _attack_batch(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radii: Sequence[float],
    steps: int,
    restarts: int,
    generator: torch.Generator,
) -> Tensor:
    distances = torch.full((len(x),), torch.inf, dtype=torch.float64)
    distances[margins(model, x, y).cpu() < 0] = 0.0
    for radius in radii:
        todo = torch.nonzero(torch.isinf(distances)).flatten()
        if not len(todo):
            break
        on_device = todo.to(x.device)
        found = l2_pgd(model, x[on_device], y[on_device], radius, steps=steps, restarts=restarts, generator=generator)
        success = (margins(model, found, y[on_device]) < 0).cpu()
        moved = row_norm(found.double() - x[on_device].double()).flatten().cpu()
        # Float32 arithmetic may leave the ball by an ulp; the flip still counts against this radius.
        distances[todo[success]] = moved[success].clamp_max(radius)
    return distances


def _hold_against(distances: Tensor, certified_radii: Tensor) -> None:
    certified = certified_radii.detach().cpu().double()
    broken = torch.nonzero(distances < certified).flatten()
    if len(broken):
        index = int(broken[0])
        raise CertificateViolatedError(index, float(distances[index]), float(certified[index]))
