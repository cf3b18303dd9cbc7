"""Hinge on every wrong class, with the margin that certifies a radius."""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch import Tensor
from typing_extensions import override

from onelip.linalg import unknown_name
from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.multi_margin import exponent, hinges
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss

Norm = Literal["l2", "linf"]

# 2^((p - 1) / p) for p = 2 and p = infinity: by how much a difference of two logits stretches more than all of them.
_FACTORS: dict[str, float] = {"l2": math.sqrt(2), "linf": 2.0}


@register_loss("certified-multi-margin")
class CertifiedMultiMargin(Loss):
    """Multi-margin loss whose margin certifies a radius: u = r c_p L, `1/K sum over j != y of max(0, u - z_y + z_j)^q`.

    c_p = 2^((p - 1) / p) is sqrt 2 in l2 and 2 in l_inf. With L the constant of the network, a sample whose loss is 0
    has at least the radius r. The published radii are 1.5 on MNIST and 0.5 on CIFAR-10, in l2 with q = 1.

    Args:
        radius: r >= 0, in units of the pixels; may be a ramp.
        norm: Of the radius and of L, "l2" or "linf".
        lipschitz: L > 0, of the network from pixels to logits.
        p: The exponent q >= 1.

    Raises:
        ValueError: An option is out of range.

    Paper:
        Li, Haque, Anil, Lucas, Grosse and Jacobsen 2019, arXiv:1911.00937; the factor: Tsuzuku, Sato and
        Sugiyama 2018, arXiv:1802.04034.
    """

    scheduled = ("radius",)

    def __init__(self, *, radius: Scheduled = 0.5, norm: Norm = "l2", lipschitz: float = 1.0, p: float = 1.0) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise ValueError(unknown_name("norm of CertifiedMultiMargin", str(norm), get_args(Norm)))
        self.radius = self.follow("radius", radius, not_negative)
        self.norm = norm
        self.lipschitz = positive("lipschitz", lipschitz, "CertifiedMultiMargin")
        self.p = exponent("p", p, "CertifiedMultiMargin")

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        margin = self.radius * _FACTORS[self.norm] * self.lipschitz
        return hinges(checked_logits(logits, labels), labels, margin, self.p)
