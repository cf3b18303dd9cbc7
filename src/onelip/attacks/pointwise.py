"""The pointwise attack, which puts noise back pixel by pixel; run by foolbox."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box
from onelip.attacks.randomness import drawn_seed
from onelip.attacks.starting_points import attacked_from, starting_points
from onelip.attacks.through_foolbox import check_options, misclassified, nearest_by_foolbox


def pointwise(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 1000,
    bisect: bool = True,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Find misclassified points near samples by setting the pixels of a noisy image back one after the other.

    It starts at the nearest misclassified image with salt-and-pepper noise, or where that finds none at a point of
    `onelip.attacks.starting_points`; pixels go back to the sample's in random order as long as the answer stays wrong,
    and with `bisect` as far as it does. It was made to change few pixels; the distance that is returned is l2, and
    bisection lessens it. The number of evaluations is ten times that of pixels, several times over.

    Args:
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        steps: How many noisy images are tried.
        bisect: Whether pixels are moved a part of the way, too.
        box: Least and largest pixel value, both finite.
        generator: Source of its seed, or None for torch's own.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their l2 distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Schott et al. 2019, arXiv:1805.09190.
    """
    check_options("pointwise", steps=(steps, steps >= 0))

    def run(foolbox: ModuleType, wrapped: Any, samples: Tensor, labels: Tensor) -> Tensor:
        noise = foolbox.attacks.SaltAndPepperNoiseAttack(steps=steps)
        attack = foolbox.attacks.PointwiseAttack(l2_binary_search=bisect)
        start = noise.run(wrapped, samples, labels) if steps else samples.clone()
        found = misclassified(model, start, labels)
        lacking = torch.nonzero(~found).flatten()
        start[lacking], found[lacking] = starting_points(model, samples[lacking], labels[lacking], box)

        def put_back(index: Tensor, noisy: Tensor) -> Tensor:
            points: Tensor = attack.run(wrapped, samples[index], labels[index], starting_points=noisy)
            return points

        return attacked_from(start, found, model, labels, put_back, samples)

    return nearest_by_foolbox("pointwise", run, model, x, y, norm="l2", box=box, seed=drawn_seed(generator))
