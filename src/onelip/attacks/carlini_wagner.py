"""The attack of Carlini and Wagner in l2, which looks for the nearest misclassified point; run by foolbox."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box
from onelip.attacks.through_foolbox import nearest_by_foolbox


def carlini_wagner(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    confidence: float = 0.0,
    steps: int = 1000,
    binary_search_steps: int = 9,
    initial_const: float = 1e-3,
    step_size: float = 0.01,
    box: Box = (0.0, 1.0),
) -> tuple[Tensor, Tensor]:
    """Find misclassified points near samples by minimising distance and margin together.

    Adam minimises |p - x|^2 + c max(z_y(p) - max_{j != y} z_j(p) + confidence, 0) over p = a + b tanh(w), which stays
    in the box, and c is chosen for each sample: ten times as large while nothing is found, then by bisection. Of what
    the package foolbox returns, only points that the model gets wrong count, and their distances are measured again.

    Args:
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        confidence: By how much the logit of another class has to lead at a point that counts; >= 0.
        steps: Steps of Adam for each c, at most: it stops early where the loss does not fall.
        binary_search_steps: How many values of c are tried.
        initial_const: The first c, > 0.
        step_size: Rate of Adam, in the units of w, > 0.
        box: Least and largest pixel value, both finite.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their l2 distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Carlini and Wagner 2017, arXiv:1608.04644.
    """
    if steps < 0 or binary_search_steps < 1 or not confidence >= 0:
        raise ValueError(
            f"steps={steps}, binary_search_steps={binary_search_steps}, confidence={confidence} of carlini_wagner must "
            "be at least 0, 1 and 0"
        )
    if not (initial_const > 0 and step_size > 0 and all(map(math.isfinite, (initial_const, step_size, *box)))):
        raise ValueError(
            f"initial_const={initial_const}, step_size={step_size} of carlini_wagner must be positive, and the ends of "
            f"box={box} finite"
        )

    def run(foolbox: ModuleType, wrapped: Any, samples: Tensor, labels: Tensor) -> Tensor:
        attack = foolbox.attacks.L2CarliniWagnerAttack(
            binary_search_steps=binary_search_steps,
            steps=steps,
            stepsize=step_size,
            confidence=confidence,
            initial_const=initial_const,
        )
        raw: Tensor = attack.run(wrapped, samples, labels)
        # Where it finds nothing, foolbox returns zeros, which may be misclassified as well.
        found = (raw != 0).flatten(1).any(1)
        return torch.where(found.reshape(-1, *[1] * (raw.dim() - 1)), raw, samples)

    return nearest_by_foolbox("cw", run, model, x, y, norm="l2", box=box)
