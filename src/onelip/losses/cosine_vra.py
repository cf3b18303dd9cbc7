"""The cosine loss with a soft count of what is missing to a certified radius."""

from __future__ import annotations

import math

from torch import Tensor
from typing_extensions import override

from onelip.losses.cosine import cosines
from onelip.losses.loss import Loss, checked_logits, fraction, not_negative
from onelip.losses.pairs import pair_radii
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


@register_loss("cosine-vra")
class CosineVRA(Loss):
    """Cosine loss and a hinge on certified radii: mean of `-(1 - gamma) cos(z, y) + gamma sum_j softmax(h)_j h_j`.

    h_j = max(0, r - (z_y - z_j) / L_yj) is what is missing to the radius r against the wrong class j; sum and softmax
    are over wrong classes, and the softmax weighs those more that miss more. VRA stands for verified robust accuracy.

    Args:
        radius: r >= 0, l2, in units of the pixels; may be a ramp.
        gamma: Weight of the hinge, in [0, 1]; may be a ramp.

    Raises:
        ValueError: An option is out of range.

    Paper:
        None; the loss of Orthogonium's training scripts.
    """

    uses_constants = True
    scheduled = ("radius", "gamma")

    def __init__(self, *, radius: Scheduled = 36 / 255, gamma: Scheduled = 0.1) -> None:
        super().__init__()
        self.radius = self.follow("radius", radius, not_negative)
        self.gamma = self.follow("gamma", gamma, fraction)

    @override
    def forward(self, logits: Tensor, labels: Tensor, constants: Tensor | None = None) -> Tensor:
        z = checked_logits(logits, labels, least=2)
        missing = (self.radius - pair_radii(z, labels, constants)).clamp(min=0.0)
        weights = missing.scatter(1, labels[:, None], -math.inf).softmax(dim=1)
        hinge = (weights * missing).sum(dim=1)
        return ((self.gamma - 1) * cosines(z, labels) + self.gamma * hinge).mean()
