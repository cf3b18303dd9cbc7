"""DeepFool: steps to the nearest boundary of the linearised classifier; run by foolbox."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box, Norm
from onelip.attacks.randomness import drawn_seed
from onelip.attacks.through_foolbox import check_options, nearest_by_foolbox


def deepfool(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    norm: Norm = "l2",
    steps: int = 50,
    candidates: int = 10,
    overshoot: float = 0.02,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Find misclassified points near samples by walking to where the linearised classifier changes its answer.

    At p_k the nearest point of the boundaries z_y(p_k) - z_j(p_k) + <g_y - g_j, p - p_k> = 0 over the classes j with
    the largest logits at the sample is d_k away from p_k, and p_(k+1) = x + (1 + overshoot) (d_0 + ... + d_k), inside
    of the box; it ends at the first misclassified point.

    Args:
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        norm: Norm of the distances.
        steps: Steps, at most.
        candidates: How many classes are looked at, the answer among them; at least 2.
        overshoot: By how much farther it goes, relative to the way so far; >= 0.
        box: Least and largest pixel value, both finite.
        generator: Source of its seed, or None for torch's own.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Moosavi-Dezfooli, Fawzi and Frossard 2016, arXiv:1511.04599.
    """
    check_options(
        "deepfool",
        steps=(steps, steps >= 0),
        candidates=(candidates, candidates >= 2),
        overshoot=(overshoot, 0 <= overshoot < float("inf")),
    )

    def run(foolbox: ModuleType, wrapped: Any, samples: Tensor, labels: Tensor) -> Tensor:
        kinds = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}
        attack = kinds[norm](steps=steps, candidates=candidates, overshoot=overshoot)
        found: Tensor = attack.run(wrapped, samples, labels)
        return found

    return nearest_by_foolbox("deepfool", run, model, x, y, norm=norm, box=box, seed=drawn_seed(generator))
