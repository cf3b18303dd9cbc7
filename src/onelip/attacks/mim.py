"""The momentum iterative method."""

from __future__ import annotations

from torch import Tensor, nn

from onelip.attacks.ball import Box, Norm, checked_balls
from onelip.attacks.pgd import search


def mim(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    norm: Norm = "linf",
    steps: int = 40,
    step_size: float | None = None,
    decay: float = 1.0,
    box: Box = (0.0, 1.0),
) -> Tensor:
    """Search the ball around each sample from its centre, in steps that remember the earlier gradients.

    g_(k+1) = decay g_k + grad f(x_k) / |grad f(x_k)|_1, x_(k+1) = P(x_k + step s(g_(k+1))), with f the cross-entropy, P
    the projection onto ball and box, and s the signs in l-infinity or g / |g| in l2. Without decay it is `bim`.

    Args:
        model: Classifier of (N, ...) samples; runs in eval mode, its mode and gradients are left as they were.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        radius: Radius of the balls in the units of `x`, one for all or (N,).
        norm: Norm of the balls.
        steps: Gradient steps.
        step_size: Length of a step in the units of `x`; by default 2.5 radius / steps.
        decay: Weight of what is remembered, at least 0.
        box: Least and largest pixel value; (-inf, inf) for none.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Dong et al. 2018, arXiv:1710.06081.
    """
    return search(model, checked_balls(x, radius, norm, box), y, [("ce", False)], steps, step_size, decay=decay)
