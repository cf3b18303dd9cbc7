"""The basic iterative method: steps from the sample itself."""

from __future__ import annotations

from torch import Tensor, nn

from onelip.attacks.ball import Box, Norm, checked_balls
from onelip.attacks.pgd import search


def bim(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    norm: Norm = "linf",
    steps: int = 40,
    step_size: float | None = None,
    box: Box = (0.0, 1.0),
) -> Tensor:
    """Search the ball around each sample from its centre, by gradient steps on the cross-entropy.

    x_(k+1) = P(x_k + step s(grad f(x_k))) from x_0 = x, with P the projection onto ball and box, and s the signs in
    l-infinity or g / |g| in l2: projected gradient descent without a random start, so it needs no seed.

    Args:
        model: Classifier of (N, ...) samples; runs in eval mode, its mode and gradients are left as they were.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        radius: Radius of the balls in the units of `x`, one for all or (N,).
        norm: Norm of the balls.
        steps: Gradient steps.
        step_size: Length of a step in the units of `x`; by default 2.5 radius / steps.
        box: Least and largest pixel value; (-inf, inf) for none.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If an argument is out of range, or `x` leaves the box.

    Paper: Kurakin, Goodfellow and Bengio 2017, arXiv:1607.02533.
    """
    return search(model, checked_balls(x, radius, norm, box), y, [("ce", False)], steps, step_size)
