"""Hinge-Kantorovich-Rubinstein loss with the wrong classes summed up by a log-sum-exp."""

from __future__ import annotations

import math

from torch import Tensor
from typing_extensions import override

from onelip.losses.kantorovich_rubinstein import half_margin_hinge, hinge_weight
from onelip.losses.loss import Loss, checked_logits, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


def soft_rival(logits: Tensor, labels: Tensor, excess: float) -> Tensor:
    """Sum up the wrong logits: `1/t log sum over j != y of exp(t z_j)`, t = log(K - 1) / excess.

    Args:
        logits: `(N, K)`, K >= 2.
        labels: `(N,)`.
        excess: By how much the result may exceed the largest of them, > 0.

    Returns:
        `(N,)`, between the largest wrong logit and `excess` above it; that logit itself if there is only one.
    """
    wrong = logits.scatter(1, labels[:, None], -math.inf)
    if logits.shape[1] == 2:
        return wrong.amax(dim=1)
    sharpness = math.log(logits.shape[1] - 1) / excess
    return (sharpness * wrong).logsumexp(dim=1) / sharpness


@register_loss("lse-hkr")
class LseHKR(Loss):
    """Hinge-KR loss of the right logit p and a log-sum-exp q of the wrong ones, the mean over the batch.

    `alpha (max(0, m/2 - p) + max(0, m/2 + q)) - (1 - alpha) (p - q)`, with logits multiplied by the temperature t and
    q between the largest wrong logit and m c / 2 above it (`soft_rival`).

    Args:
        alpha: Weight of the hinge in [0, 1]; by default the hinge alone.
        margin: m > 0, in units of the logits times t; may be a ramp.
        temperature: t > 0, a factor on the logits.
        penalty: c > 0: how much more than the largest wrong logit q may be, in halves of the margin.

    Raises:
        ValueError: An option is out of range.

    Paper:
        None; DEEL-Torchlip's `LseHKRMulticlassLoss`.
    """

    scheduled = ("margin",)

    def __init__(
        self, *, alpha: float = 1.0, margin: Scheduled = 1.0, temperature: float = 1.0, penalty: float = 1.0
    ) -> None:
        super().__init__()
        self.alpha = hinge_weight(alpha, "LseHKR")
        self.margin = self.follow("margin", margin, positive)
        self.temperature = positive("temperature", temperature, "LseHKR")
        self.penalty = positive("penalty", penalty, "LseHKR")

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = self.temperature * checked_logits(logits, labels, least=2)
        right = z.gather(1, labels[:, None])[:, 0]
        rival = soft_rival(z, labels, self.margin * self.penalty / 2)
        hinge = half_margin_hinge(right, self.margin) + half_margin_hinge(-rival, self.margin)
        return (self.alpha * hinge - (1 - self.alpha) * (right - rival)).mean()
