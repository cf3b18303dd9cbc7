"""The nearest adversarial sample that a search can find."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.attacks.ball import row_norm
from onelip.attacks.pgd import l2_pgd, margins

_BISECTIONS = 16
"""Halvings of the segment from sample to adversarial one."""


@dataclass(frozen=True)
class NearestAdversarial:
    """What the search found.

    Attributes:
        images: (N, ...) adversarial samples; the sample itself where none was found.
        distances: (N,) l2 distances in the units of the input; inf where none was found.
    """

    images: Tensor
    distances: Tensor


def nearest_adversarial(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    max_radius: float,
    rounds: int = 8,
    steps: int = 40,
    restarts: int = 3,
    box: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> NearestAdversarial:
    """Find a near adversarial sample for each input, by bisecting the radius of a PGD attack.

    Each round attacks a per-sample radius halfway between the largest that failed and the nearest success; a success
    is then pulled towards the sample as far as it stays wrong. The distance is an upper bound of the true one.

    Args:
        model: Classifier of (N, ...) samples.
        x: (N, ...) samples inside the box.
        y: (N,) labels.
        max_radius: Largest distance to look at, in the units of `x`.
        rounds: Bisections of the radius after the first attack.
        steps: Gradient steps of each attack.
        restarts: Starts of each attack.
        box: Least and largest pixel value.
        generator: Source of randomness, or None for torch's own.

    Returns:
        The adversarial samples and their distances; 0 where the sample itself is misclassified.
    """
    images = x.clone()
    distances = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    distances[margins(model, x, y) < 0] = 0.0
    low = torch.zeros_like(distances)
    for k in range(rounds + 1):
        high = distances.clamp_max(max_radius)
        radius = high if k == 0 else (low + high) / 2
        todo = torch.nonzero((distances > 0) & (high > low)).flatten()
        if not len(todo):
            break
        found = l2_pgd(
            model, x[todo], y[todo], radius[todo], steps=steps, restarts=restarts, box=box, generator=generator
        )
        success = margins(model, found, y[todo]) < 0
        hit, miss = todo[success], todo[~success]
        pulled = _pull(model, x[hit], found[success], y[hit])
        distance = row_norm(pulled - x[hit]).flatten()
        nearer = distance < distances[hit]
        images[hit[nearer]], distances[hit[nearer]] = pulled[nearer], distance[nearer]
        low[miss] = radius[miss]
    return NearestAdversarial(images, distances)


def _pull(model: nn.Module, x: Tensor, adversarial: Tensor, y: Tensor) -> Tensor:
    low, high = torch.zeros_like(row_norm(x)), torch.ones_like(row_norm(x))
    for _ in range(_BISECTIONS if len(x) else 0):
        middle = (low + high) / 2
        wrong = (margins(model, x + middle * (adversarial - x), y) < 0).reshape(middle.shape)
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
    return torch.where(high < 1, x + high * (adversarial - x), adversarial)
