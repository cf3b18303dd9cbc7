"""FMN, the fast minimum-norm attack; run by foolbox."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box, Norm
from onelip.attacks.randomness import drawn_seed
from onelip.attacks.through_foolbox import check_options, nearest_by_foolbox

BEYOND = 1.02
"""Factor of l2 radii: the first ones end where a linear function changes its sign, which is misclassified by luck."""


def fmn(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    norm: Norm = "l2",
    steps: int = 100,
    step_size: float = 1.0,
    gamma: float = 0.05,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Find misclassified points near samples by gradient steps in a ball whose radius follows the boundary.

    Steps along the normalised gradient of the margin, projected onto ball and box. Before a misclassified point is
    seen, the radius is the distance of the linearised boundary; then it shrinks by 1 - gamma at misclassified points
    and grows by 1 + gamma at others. Lengths of steps and gamma fall along a cosine.

    Args:
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        norm: Norm of the distances; steps are measured in l2 in any case.
        steps: Gradient steps.
        step_size: Length of the first step in the units of `x`, > 0; the last one's is a hundredth of it.
        gamma: How fast the radius changes at first, between 0 and 1.
        box: Least and largest pixel value, both finite.
        generator: Source of its seed, or None for torch's own.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Pintor et al. 2021, arXiv:2102.12827.
    """
    check_options(
        "fmn",
        steps=(steps, steps >= 0),
        step_size=(step_size, 0 < step_size < float("inf")),
        gamma=(gamma, 0 < gamma < 1),
    )

    def run(foolbox: ModuleType, wrapped: Any, samples: Tensor, labels: Tensor) -> Tensor:
        kinds = {"l2": foolbox.attacks.L2FMNAttack, "linf": foolbox.attacks.LInfFMNAttack}
        attack = kinds[norm](steps=steps, max_stepsize=step_size, gamma=gamma)
        if norm == "l2":
            attack.project = _project
        found: Tensor = attack.run(wrapped, samples, labels)
        return found

    return nearest_by_foolbox("fmn", run, model, x, y, norm=norm, box=box, seed=drawn_seed(generator))


# That of foolbox 3.3.4 divides the norm by itself and so leaves all points where they are.
def _project(*, x: Any, x0: Any, epsilon: Any) -> Any:
    offset = x - x0
    length = offset.flatten(start=1).norms.l2(axis=-1)
    share = (BEYOND * epsilon / length.maximum(1e-12)).minimum(1.0)
    return x0 + offset * share.reshape((-1, *[1] * (x.ndim - 1)))
