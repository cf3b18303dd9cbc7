"""Cross-entropy with an offset: the right logit has to win by a margin."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.losses.cross_entropy import tempered_cross_entropy
from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


def offset(logits: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Lower the right logit: `z - u onehot(y)`.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.
        margin: u.

    Returns:
        `(N, K)`.
    """
    index = labels[:, None]
    return logits.scatter(1, index, logits.gather(1, index) - margin)


@register_loss("offset-cross-entropy")
class OffsetCrossEntropy(Loss):
    """Cross-entropy that asks the right logit to win by a margin: `T CE((z - u onehot(y)) / T, y)`, mean.

    Once the right logit leads by much more than u the loss vanishes; for a network with constant 1 a lead of u
    certifies the l2 radius u / sqrt 2, so the default asks for twice 36/255.

    Args:
        margin: `u` >= 0, in units of the logits; may be a ramp.
        temperature: `T` > 0, in units of the logits; may be a ramp.

    Raises:
        ValueError: The margin is negative or the temperature not positive.

    Paper:
        Prach and Lampert 2022, arXiv:2208.03160, section 5; with the factor T in front and these defaults: Prach,
        Brau, Buttazzo and Lampert 2023, arXiv:2311.16833.
    """

    scheduled = ("margin", "temperature")

    def __init__(self, *, margin: Scheduled = 2 * 2**0.5 * 36 / 255, temperature: Scheduled = 0.25) -> None:
        super().__init__()
        self.margin = self.follow("margin", margin, not_negative)
        self.temperature = self.follow("temperature", temperature, positive)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = checked_logits(logits, labels)
        return tempered_cross_entropy(offset(z, labels, self.margin), labels, self.temperature)
