"""Cross-entropy plus a term that goes on rewarding the gap between the right logit and the others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


@register_loss("confidence-gap")
class ConfidenceGap(Loss):
    """The loss of L2-nonexpansive networks: `CE(v z, y) + c/g log(1 - softmax(g z)_y)`, the mean over the batch.

    The second term is about minus the lead of the right logit over the largest other one once that is well above 1/g,
    and flat where the right one trails, so that confident answers become more so and lost ones are given up. It has no
    lower bound.

    As published there is a third term, a cross-entropy of logits times factors that are learned, one for each class;
    losses here have nothing to learn.

    Args:
        scale: v > 0, per unit of the logits; may be a ramp.
        gap_scale: g > 0, per unit of the logits; may be a ramp.
        gap_weight: c >= 0; may be a ramp.

    Raises:
        ValueError: An option is out of range.

    Paper:
        Qian and Wegman 2019, arXiv:1802.07896, section 2.4; the defaults are ours.
    """

    scheduled = ("scale", "gap_scale", "gap_weight")

    def __init__(self, *, scale: Scheduled = 8.0, gap_scale: Scheduled = 8.0, gap_weight: Scheduled = 1.0) -> None:
        super().__init__()
        self.scale = self.follow("scale", scale, positive)
        self.gap_scale = self.follow("gap_scale", gap_scale, positive)
        self.gap_weight = self.follow("gap_weight", gap_weight, not_negative)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = checked_logits(logits, labels, least=2)
        scaled = self.gap_scale * z
        others = scaled.scatter(1, labels[:, None], -torch.inf)
        # log(1 - softmax_y), without the difference of numbers that are nearly equal.
        gaps = others.logsumexp(1) - scaled.logsumexp(1)
        return functional.cross_entropy(self.scale * z, labels) + self.gap_weight / self.gap_scale * gaps.mean()
