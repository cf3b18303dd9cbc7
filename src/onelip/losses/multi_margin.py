"""Hinge on every wrong class."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


def hinges(logits: Tensor, labels: Tensor, margin: float, p: float) -> Tensor:
    """Compute `1/K sum over j != y of max(0, u - z_y + z_j)^p`, the mean over the batch.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.
        margin: u >= 0.
        p: The exponent, >= 1.

    Returns:
        A scalar.
    """
    index = labels[:, None]
    each = (margin + logits - logits.gather(1, index)).clamp(min=0.0) ** p
    # The right class itself would contribute margin^p and no gradient.
    return each.scatter(1, index, 0.0).sum(dim=1).mean() / logits.shape[1]


def exponent(name: str, value: float, where: str) -> float:
    """Take the exponent of a convex hinge.

    Args:
        name: The option.
        value: Its value.
        where: Whose option it is.

    Returns:
        The value.

    Raises:
        ValueError: It is below 1 or infinite.
    """
    number = positive(name, value, where)
    if number < 1:
        raise ValueError(f"{name}={value} in {where} is not an exponent of a convex hinge; it must be >= 1")
    return number


@register_loss("multi-margin")
class MultiMargin(Loss):
    """Hinge on every wrong class: `1/K sum over j != y of max(0, u - z_y + z_j)^p`, the mean over the batch.

    Args:
        margin: `u` >= 0, in units of the logits; may be a ramp.
        p: Exponent >= 1.

    Raises:
        ValueError: The margin is negative or the exponent below 1.
    """

    scheduled = ("margin",)

    def __init__(self, *, margin: Scheduled = 1.0, p: float = 1.0) -> None:
        super().__init__()
        self.margin = self.follow("margin", margin, not_negative)
        self.p = exponent("p", p, "MultiMargin")

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return hinges(checked_logits(logits, labels), labels, self.margin, self.p)
