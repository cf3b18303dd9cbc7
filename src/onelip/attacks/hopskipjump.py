"""HopSkipJump, which estimates the boundary's normal from answers alone; run by foolbox."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box, Norm
from onelip.attacks.randomness import drawn_seed
from onelip.attacks.starting_points import attacked_from, starting_points
from onelip.attacks.through_foolbox import check_options, nearest_by_foolbox

LARGEST = 2**25
"""Numbers in one tensor of random directions, at most."""


def hopskipjump(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    norm: Norm = "l2",
    steps: int = 64,
    first_evaluations: int = 100,
    most_evaluations: int = 10000,
    gamma: float = 1.0,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Find misclassified points near samples by steps along the boundary that ask for answers only.

    From a misclassified point far away (`onelip.attacks.starting_points`), each step finds the boundary on the segment
    to the sample by bisection, estimates its normal there from the answers at random points nearby, and goes along it,
    by a length that is halved until the point is misclassified.

    Args:
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        norm: Norm of the distances.
        steps: Steps.
        first_evaluations: Random points of the first estimate, at least 1; there are sqrt(k) times as many in step k.
        most_evaluations: Random points of an estimate, at most; at least 1.
        gamma: Where the bisection ends, relative to d^-1.5 in l2 and d^-2 in l-infinity for d pixels; > 0.
        box: Least and largest pixel value, both finite.
        generator: Source of its seed, or None for torch's own.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Chen, Jordan and Wainwright 2020, arXiv:1904.02144.
    """
    check_options(
        "hopskipjump",
        steps=(steps, steps >= 0),
        first_evaluations=(first_evaluations, first_evaluations >= 1),
        most_evaluations=(most_evaluations, most_evaluations >= 1),
        gamma=(gamma, 0 < gamma < float("inf")),
    )
    evaluations = min(first_evaluations * max(steps, 1) ** 0.5, most_evaluations)
    group = max(1, int(LARGEST // (evaluations * max(x[:1].numel(), 1))))

    def run(foolbox: ModuleType, wrapped: Any, samples: Tensor, labels: Tensor) -> Tensor:
        attack = foolbox.attacks.HopSkipJumpAttack(
            steps=steps,
            initial_gradient_eval_steps=first_evaluations,
            max_gradient_eval_steps=most_evaluations,
            gamma=gamma,
            constraint=norm,
        )
        # It clips to [0, 1] whatever the bounds of the model.
        inner = _Rescaled(model, box)
        unit = foolbox.PyTorchModel(inner.eval(), bounds=(0, 1), device=wrapped.device)
        a = ((samples - box[0]) / (box[1] - box[0])).clamp(0, 1)

        def hop(index: Tensor, start: Tensor) -> Tensor:
            found: Tensor = attack.run(unit, a[index], labels[index], starting_points=start)
            return found

        parts = [
            attacked_from(*starting_points(inner, a[i], labels[i], (0.0, 1.0)), inner, labels[i], _at(hop, i), a[i])
            for i in torch.arange(len(a), device=a.device).split(group)
        ]
        return box[0] + (box[1] - box[0]) * torch.cat(parts)

    return nearest_by_foolbox("hopskipjump", run, model, x, y, norm=norm, box=box, seed=drawn_seed(generator))


def _at(hop: Any, numbers: Tensor) -> Any:
    return lambda index, start: hop(numbers[index], start)


class _Rescaled(nn.Module):
    """A classifier of pixels in [0, 1] instead of a box."""

    def __init__(self, model: nn.Module, box: Box) -> None:
        super().__init__()
        self.model, self.box = model, box

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.box
        logits: Tensor = self.model(x if self.box == (0.0, 1.0) else low + (high - low) * x)
        return logits
