"""DDN, an attack that decouples direction and norm; run by foolbox."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box
from onelip.attacks.randomness import drawn_seed
from onelip.attacks.through_foolbox import check_options, nearest_by_foolbox


def ddn(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 100,
    first_radius: float = 1.0,
    gamma: float = 0.05,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Find misclassified points near samples by gradient steps on a sphere that shrinks and grows.

    d_(k+1) has the direction of d_k + a_k grad f / |grad f|, with f the cross-entropy and a_k falling from 1 to 0.01,
    and the length r_(k+1) = (1 - gamma) r_k where x + d_k is misclassified, (1 + gamma) r_k elsewhere.

    Args:
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        steps: Gradient steps.
        first_radius: r_0 in the units of `x`, > 0.
        gamma: How fast the sphere shrinks and grows, between 0 and 1.
        box: Least and largest pixel value, both finite.
        generator: Source of its seed, or None for torch's own.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their l2 distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Rony et al. 2019, arXiv:1811.09600.
    """
    check_options(
        "ddn",
        steps=(steps, steps >= 0),
        first_radius=(first_radius, 0 < first_radius < float("inf")),
        gamma=(gamma, 0 < gamma < 1),
    )

    def run(foolbox: ModuleType, wrapped: Any, samples: Tensor, labels: Tensor) -> Tensor:
        attack = foolbox.attacks.DDNAttack(init_epsilon=first_radius, steps=steps, gamma=gamma)
        found: Tensor = attack.run(wrapped, samples, labels)
        return found

    return nearest_by_foolbox("ddn", run, model, x, y, norm="l2", box=box, seed=drawn_seed(generator))
