"""Certificate regularisation: cross-entropy minus a multiple of the certified radius."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from onelip.losses.loss import Loss, checked_logits, not_negative
from onelip.losses.pairs import pair_radii
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss


@register_loss("certificate-regularisation")
class CertificateRegularisation(Loss):
    """Cross-entropy minus a multiple of the certified radius: `CE(z, y) - gamma mean of max(0, M)`.

    M = min over j != y of (z_y - z_j) / L_yj is the l2 radius that the margin certifies; wrong samples count 0.

    Args:
        gamma: The multiple, >= 0; may be a ramp.

    Raises:
        ValueError: gamma is negative.

    Paper:
        Singla, Singla and Feizi 2022, arXiv:2108.04062.
    """

    uses_constants = True
    scheduled = ("gamma",)

    def __init__(self, *, gamma: Scheduled = 0.5) -> None:
        super().__init__()
        self.gamma = self.follow("gamma", gamma, not_negative)

    @override
    def forward(self, logits: Tensor, labels: Tensor, constants: Tensor | None = None) -> Tensor:
        z = checked_logits(logits, labels, least=2)
        radii = pair_radii(z, labels, constants).amin(dim=1).clamp(min=0.0)
        return functional.cross_entropy(z, labels) - self.gamma * radii.mean()
