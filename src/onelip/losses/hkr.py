"""Hinge-Kantorovich-Rubinstein loss of two classes."""

from __future__ import annotations

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


@register_loss("hkr")
class HKR(Loss):
    """Hinge-KR loss of two classes: `alpha E max(0, m/2 - s f) - (1 - alpha) (E+ f - E- f)`, s = +-1 by class.

    E+ and E- are the means over the samples of either class in the batch. The KR term alone separates the classes as
    far as their Wasserstein-1 distance allows, whatever the errors; the hinge asks for the sign and a margin.

    Logits `(N, 1)` are f, positive for label 1. Logits `(N, 2)` are two such functions, one for each class, and their
    losses are averaged.

    Args:
        alpha: Weight of the hinge in [0, 1].
        margin: m > 0 between the classes, in units of the logits; may be a ramp.

    Raises:
        ValueError: An option is out of range; in `forward`, there are more than two logits.

    Paper:
        Serrurier, Mamalet, Gonzalez-Sanz, Boissin, Loubes and del Barrio 2021, arXiv:2006.06520; alpha as in
        DEEL-Torchlip.
    """

    scheduled = ("margin",)

    def __init__(self, *, alpha: float = 0.9, margin: Scheduled = 1.0) -> None:
        super().__init__()
        self.alpha = hinge_weight(alpha, "HKR")
        self.margin = self.follow("margin", margin, positive)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        f = checked_logits(logits, labels)
        if f.shape[1] > 2:
            raise ValueError(f"logits has shape {tuple(f.shape)} in HKR, which is for two classes; use HKRMulticlass")
        inside = labels[:, None] == 1 if f.shape[1] == 1 else one_hot(labels, 2)
        hinge = half_margin_hinge(signed(f, inside), self.margin).mean()
        return self.alpha * hinge - (1 - self.alpha) * kantorovich_rubinstein(f, inside)
