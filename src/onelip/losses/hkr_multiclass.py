"""Hinge-Kantorovich-Rubinstein loss, one class against the others."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from onelip.losses.kantorovich_rubinstein import (
    half_margin_hinge,
    hinge_weight,
    kantorovich_rubinstein,
    one_hot,
    signed,
)
from onelip.losses.loss import Loss, checked_logits, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


@register_loss("hkr-multiclass")
class HKRMulticlass(Loss):
    """Hinge-KR loss of each class against the others: `alpha H - (1 - alpha) KR`, means over the classes.

    H = mean over n and j of w_nj max(0, m/2 - s_nj z_nj) with s = 1 and w = K - 1 for the right class, s = -1 and w = 1
    for the others, so that both sides weigh the same; KR is the mean over j of E[z_j | y = j] - E[z_j | y != j].
    With two classes it is `HKR` of two logits.

    Args:
        alpha: Weight of the hinge in [0, 1].
        margin: m > 0, in units of the logits; may be a ramp.

    Raises:
        ValueError: An option is out of range.

    Paper:
        Serrurier, Mamalet, Gonzalez-Sanz, Boissin, Loubes and del Barrio 2021, arXiv:2006.06520; weights as in
        DEEL-Torchlip.
    """

    scheduled = ("margin",)

    def __init__(self, *, alpha: float = 0.9, margin: Scheduled = 1.0) -> None:
        super().__init__()
        self.alpha = hinge_weight(alpha, "HKRMulticlass")
        self.margin = self.follow("margin", margin, positive)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = checked_logits(logits, labels, least=2)
        inside = one_hot(labels, z.shape[1])
        each = half_margin_hinge(signed(z, inside), self.margin)
        hinge = torch.where(inside, (z.shape[1] - 1.0) * each, each).mean()
        return self.alpha * hinge - (1 - self.alpha) * kantorovich_rubinstein(z, inside)
