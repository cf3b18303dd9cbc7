"""Cross-entropy of logits times a factor, over that factor."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.losses.cross_entropy import tempered_cross_entropy
from onelip.losses.loss import Loss, checked_logits, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


@register_loss("tau-cross-entropy")
class TauCrossEntropy(Loss):
    """Cross-entropy of scaled logits over the scale: `CE(tau z, y) / tau`, the mean over the batch.

    `CrossEntropy` with the temperature 1 / tau, under the name and the parameter of the DEEL libraries. A large tau
    nears the hinge max over j of z_j - z_y, and accuracy; a small one the mean margin, and robustness.

    Args:
        tau: Factor > 0, in 1 / units of the logits; may be a ramp.

    Raises:
        ValueError: tau is not positive.

    Paper:
        Bethune, Boissin, Serrurier, Mamalet, Friedrich and Gonzalez-Sanz 2022, "Pay attention to your loss",
        arXiv:2104.05097.
    """

    scheduled = ("tau",)

    def __init__(self, *, tau: Scheduled = 4.0) -> None:
        super().__init__()
        self.tau = self.follow("tau", tau, positive)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return tempered_cross_entropy(checked_logits(logits, labels), labels, 1 / self.tau)
