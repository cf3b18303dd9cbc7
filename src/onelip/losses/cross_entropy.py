"""Cross-entropy at a temperature."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from onelip.losses.loss import Loss, checked_logits, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


def tempered_cross_entropy(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Compute `T CE(z / T, y)`, the mean over the batch.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.
        temperature: T > 0, in units of the logits.

    Returns:
        A scalar.
    """
    return temperature * functional.cross_entropy(logits / temperature, labels)


@register_loss("cross-entropy")
class CrossEntropy(Loss):
    """Cross-entropy of the softmax at a temperature: `T CE(z / T, y)`, the mean over the batch.

    Logits of a 1-Lipschitz network are bounded, so a small temperature is what lets it separate classes.

    Args:
        temperature: `T` > 0, in units of the logits; may be a ramp.

    Raises:
        ValueError: The temperature is not positive.
    """

    scheduled = ("temperature",)

    def __init__(self, *, temperature: Scheduled = 1.0) -> None:
        super().__init__()
        self.temperature = self.follow("temperature", temperature, positive)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return tempered_cross_entropy(checked_logits(logits, labels), labels, self.temperature)
