"""The boundary attack, a random walk that sees nothing but answers; run by foolbox."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box
from onelip.attacks.randomness import drawn_seed
from onelip.attacks.starting_points import attacked_from, starting_points
from onelip.attacks.through_foolbox import check_options, nearest_by_foolbox


def boundary(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 5000,
    spherical_step: float = 0.01,
    source_step: float = 0.01,
    step_adaptation: float = 1.5,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Find misclassified points near samples by a random walk along the boundary that asks for answers only.

    From a misclassified point far away (`onelip.attacks.starting_points`), each step goes sideways on the sphere around
    the sample and then towards it, and is taken if the point is misclassified. Both lengths adapt to how often it is.

    Args:
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        steps: Steps, at most.
        spherical_step: First length of a step sideways, relative to the distance; > 0.
        source_step: First length of a step towards the sample, relative to the distance; > 0.
        step_adaptation: Factor by which the lengths change, > 1.
        box: Least and largest pixel value, both finite.
        generator: Source of its seed, or None for torch's own.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their l2 distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Brendel, Rauber and Bethge 2018, arXiv:1712.04248.
    """
    check_options(
        "boundary",
        steps=(steps, steps >= 0),
        spherical_step=(spherical_step, 0 < spherical_step < float("inf")),
        source_step=(source_step, 0 < source_step < float("inf")),
        step_adaptation=(step_adaptation, 1 < step_adaptation < float("inf")),
    )

    def run(foolbox: ModuleType, wrapped: Any, samples: Tensor, labels: Tensor) -> Tensor:
        attack = foolbox.attacks.BoundaryAttack(
            steps=steps, spherical_step=spherical_step, source_step=source_step, step_adaptation=step_adaptation
        )

        def walk(index: Tensor, start: Tensor) -> Tensor:
            found: Tensor = attack.run(wrapped, samples[index], labels[index], starting_points=start)
            return found

        return attacked_from(*starting_points(model, samples, labels, box), model, labels, walk, samples)

    return nearest_by_foolbox("boundary", run, model, x, y, norm="l2", box=box, seed=drawn_seed(generator))
