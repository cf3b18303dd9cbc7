"""EMMA: every class is moved to where it could be reached, but no further than a radius."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.losses.cross_entropy import tempered_cross_entropy
from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.pairs import NEARLY_ZERO, pair_constants
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss

LEAST_SHARE = 0.01
"""Of the radius, for classes that already win."""


def emma_logits(logits: Tensor, labels: Tensor, constants: Tensor | None, radius: float) -> Tensor:
    """Raise each logit by what an attack on that class needs, within a share of the radius of its own.

    With d_j = z_j - z_y and m_j = radius L_yj the result is d_j + e_j m_j, e_j = clip(-d_j / m_j, 0.01, 1): 0 for the
    classes that can be reached within the radius. No gradient passes through the shares e_j.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.
        constants: As in `pair_constants`; gradients pass through them.
        radius: In units of the pixels, >= 0.

    Returns:
        `(N, K)`, 0 for the right class.
    """
    behind = logits - logits.gather(1, labels[:, None])
    reach = radius * pair_constants(constants, labels, logits)
    shares = (-behind.detach() / reach.detach().clamp(min=NEARLY_ZERO)).clamp(LEAST_SHARE, 1.0)
    return behind + shares * reach


@register_loss("emma")
class EMMA(Loss):
    """Cross-entropy after each class was moved to where it could just be reached, capped at a radius.

    `T CE((d + e m) / T, y)` with d_j = z_j - z_y, m_j = r L_yj and e_j = clip(-d_j / m_j, 0.01, 1), through which no
    gradient passes. All classes push, not only the nearest, and none further than needed. The constants L_yj of
    z_y - z_j enter with their gradient, so that networks whose constant is not fixed learn to keep it small.

    Args:
        radius: r >= 0, l2, in units of the pixels; may be a ramp. The records lead it from 0.1 to 3 times 36/255
            during the first half of the training.
        temperature: T > 0, in units of the logits; 1 as published; may be a ramp.

    Raises:
        ValueError: The radius is negative or the temperature not positive.

    Paper:
        Hu, Zou, Wang, Leino and Fredrikson 2023, arXiv:2301.12549; the ramp: Hu, Leino, Wang and Fredrikson 2024,
        arXiv:2310.02513.
    """

    uses_constants = True
    scheduled = ("radius", "temperature")

    def __init__(self, *, radius: Scheduled = 36 / 255, temperature: Scheduled = 1.0) -> None:
        super().__init__()
        self.radius = self.follow("radius", radius, not_negative)
        self.temperature = self.follow("temperature", temperature, positive)

    @override
    def forward(self, logits: Tensor, labels: Tensor, constants: Tensor | None = None) -> Tensor:
        z = checked_logits(logits, labels)
        return tempered_cross_entropy(emma_logits(z, labels, constants, self.radius), labels, self.temperature)
