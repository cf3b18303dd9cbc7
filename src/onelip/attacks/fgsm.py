"""The fast gradient sign method: one step."""

from __future__ import annotations

from torch import Tensor, nn

from onelip.attacks.ball import Box, Norm, checked_balls
from onelip.attacks.pgd import search


def fgsm(
    model: nn.Module, x: Tensor, y: Tensor, radius: float | Tensor, *, norm: Norm = "linf", box: Box = (0.0, 1.0)
) -> Tensor:
    """Go one step as long as the radius along the gradient of the cross-entropy, and back into the box.

    clamp(x + radius sign(grad f)) in l-infinity, clamp(x + radius grad f / |grad f|) in l2. The gradient is taken of a
    function that rises with the cross-entropy but does not saturate; its direction is the same.

    Args:
        model: Classifier of (N, ...) samples; runs in eval mode, its mode and gradients are left as they were.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        radius: Length of the step in the units of `x`, one for all or (N,).
        norm: Norm of the step.
        box: Least and largest pixel value; (-inf, inf) for none.

    Returns:
        (N, ...) samples after the step; the sample itself where it was misclassified, or the step widened its margin.

    Raises:
        ValueError: If the radius is negative, the norm unknown, or `x` leaves the box.

    Paper: Goodfellow, Shlens and Szegedy 2015, arXiv:1412.6572.
    """
    balls = checked_balls(x, radius, norm, box)
    return search(model, balls, y, [("ce", False)], 1, balls.radius.flatten())
