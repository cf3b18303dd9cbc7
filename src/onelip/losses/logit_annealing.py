"""Logit annealing: an offset cross-entropy that lets go of samples which have their margin."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.offset_cross_entropy import offset
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


def annealed(logits: Tensor, labels: Tensor, margin: float, temperature: float, beta: float) -> Tensor:
    """Compute `-T (1 - p)^beta log p` with p = softmax((z - xi onehot(y)) / T)_y, the mean over the batch.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.
        margin: xi >= 0.
        temperature: T > 0.
        beta: 0, or at least 1.

    Returns:
        A scalar.
    """
    losses = functional.cross_entropy(offset(logits, labels, margin) / temperature, labels, reduction="none")
    # 1 - p without cancellation.
    return temperature * ((-(-losses).expm1()) ** beta * losses).mean()


def annealing_exponent(name: str, value: float, where: str) -> float:
    """Take the exponent of an annealed loss.

    Args:
        name: The option.
        value: Its value.
        where: Whose option it is.

    Returns:
        The value.

    Raises:
        ValueError: It is negative, infinite, or between 0 and 1, where (1 - p)^beta has no finite slope at p = 1.
    """
    number = not_negative(name, value, where)
    if 0 < number < 1:
        raise ValueError(f"{name}={value} in {where} must be 0 or at least 1, so that gradients are finite")
    return number


@register_loss("logit-annealing")
class LogitAnnealing(Loss):
    """Offset cross-entropy times (1 - p)^beta: `-T (1 - p)^beta log p`, p = softmax((z - xi onehot(y)) / T)_y, mean.

    Margins of a Lipschitz network are a scarce good: the factor takes the pressure off samples that have theirs, as a
    focal loss does. With beta = 0 it is the offset cross-entropy.

    Args:
        margin: xi >= 0, in units of the logits; may be a ramp.
        temperature: T > 0, in units of the logits; may be a ramp.
        beta: The exponent, 0 or >= 1.

    Raises:
        ValueError: An option is out of range.

    Paper:
        Lai, Huang, Kung and Chen 2025, arXiv:2505.15174, with these numbers throughout.
    """

    scheduled = ("margin", "temperature")

    def __init__(self, *, margin: Scheduled = 2.0, temperature: Scheduled = 0.75, beta: float = 5.0) -> None:
        super().__init__()
        self.margin = self.follow("margin", margin, not_negative)
        self.temperature = self.follow("temperature", temperature, positive)
        self.beta = annealing_exponent("beta", beta, "LogitAnnealing")

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = checked_logits(logits, labels)
        return annealed(z, labels, self.margin, self.temperature, self.beta)
