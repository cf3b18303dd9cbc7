"""The cosine between logits and label."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from onelip.losses.loss import Loss, checked_logits
from onelip.losses.registry import register_loss


def cosines(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute `z_y / ||z||_2`.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.

    Returns:
        `(N,)` between -1 and 1; 0 for a zero logit vector.
    """
    return functional.normalize(logits, dim=1).gather(1, labels[:, None])[:, 0]


@register_loss("cosine")
class CosineLoss(Loss):
    """Minus the cosine of the angle between logits and one-hot label: `-z_y / ||z||_2`, mean.

    Between -1 and 1, blind to the scale of the logits; a zero logit vector counts 0.
    """

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -cosines(checked_logits(logits, labels), labels).mean()
