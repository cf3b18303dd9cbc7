"""Logit annealing on the logits that EMMA has moved."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.losses.emma import emma_logits
from onelip.losses.logit_annealing import annealed, annealing_exponent
from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


@register_loss("emma-logit-annealing")
class EMMALogitAnnealing(Loss):
    """Logit annealing on EMMA's logits: `-T (1 - p)^beta log p`, p = softmax((d + e m - xi onehot(y)) / T)_y, mean.

    With d, e and m as in `EMMA`. It is what the code released with BRONet trains with, for the logit annealing of the
    paper; the constants keep the gradient that `LogitAnnealing` alone does not give them.

    Args:
        radius: r >= 0 of EMMA, l2, in units of the pixels; may be a ramp.
        margin: xi >= 0, in units of the logits; may be a ramp.
        temperature: T > 0, in units of the logits; may be a ramp.
        beta: The exponent, 0 or >= 1.

    Raises:
        ValueError: An option is out of range.

    Paper:
        Lai, Huang, Kung and Chen 2025, arXiv:2505.15174, as in the released code.
    """

    uses_constants = True
    scheduled = ("radius", "margin", "temperature")

    def __init__(
        self,
        *,
        radius: Scheduled = 36 / 255,
        margin: Scheduled = 2.0,
        temperature: Scheduled = 0.75,
        beta: float = 5.0,
    ) -> None:
        super().__init__()
        self.radius = self.follow("radius", radius, not_negative)
        self.margin = self.follow("margin", margin, not_negative)
        self.temperature = self.follow("temperature", temperature, positive)
        self.beta = annealing_exponent("beta", beta, "EMMALogitAnnealing")

    @override
    def forward(self, logits: Tensor, labels: Tensor, constants: Tensor | None = None) -> Tensor:
        z = emma_logits(checked_logits(logits, labels), labels, constants, self.radius)
        return annealed(z, labels, self.margin, self.temperature, self.beta)
