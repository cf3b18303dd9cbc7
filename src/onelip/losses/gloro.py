"""GloRo: a further logit for "not certain within the radius"."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from onelip.linalg import unknown_name
from onelip.losses.cross_entropy import tempered_cross_entropy
from onelip.losses.loss import Loss, checked_logits, not_negative, positive
from onelip.losses.pairs import pair_constants
from onelip.losses.ramp import Scheduled
from onelip.losses.registry import register_loss

Form = Literal["cross-entropy", "trades"]


def gloro_logit(logits: Tensor, constants: Tensor | None, radius: float) -> Tensor:
    """Compute how high the strongest rival of the predicted class can climb relative to it within a radius.

    Args:
        logits: `(N, K)`, K >= 2; t is the predicted class.
        constants: As in `pair_constants`.
        radius: In units of the pixels, >= 0.

    Returns:
        `(N,)`: the maximum over j != t of z_j + radius L_tj. The prediction is certain if it is below z_t.
    """
    predicted = logits.argmax(dim=1)
    climbed = logits + radius * pair_constants(constants, predicted, logits)
    return climbed.scatter(1, predicted[:, None], -math.inf).amax(dim=1)


@register_loss("gloro")
class GloRo(Loss):
    """Classification with a further class, "not certain": its logit is z_bot = max over j != t of z_j + r L_tj.

    t is the predicted class, and L_tj the constant of z_t - z_j. With the form "cross-entropy" the loss is
    `T CE([z, z_bot] / T, y)`, the mean over the batch. With "trades" it is
    `T CE(z / T, y) + w T KL(softmax(z / T) || softmax([z, z_bot] / T))`, where the divergence is
    log(1 + exp(z_bot / T - logsumexp(z / T))): be right, and be certain even if wrong. With w = 1 both are the same.

    Args:
        radius: r >= 0, l2, in units of the pixels; may be a ramp.
        form: "cross-entropy" or "trades".
        weight: w > 0, of the second term of "trades", often written lambda; None for 1, and for "cross-entropy".
        temperature: T > 0, in units of the logits; may be a ramp.

    Raises:
        ValueError: An option is out of range, or has no effect.

    Paper:
        Leino, Wang and Fredrikson 2021, arXiv:2102.08452; the constants of pairs and "trades" as in the released code.
    """

    uses_constants = True
    scheduled = ("radius", "temperature")

    def __init__(
        self,
        *,
        radius: Scheduled = 36 / 255,
        form: Form = "cross-entropy",
        weight: float | None = None,
        temperature: Scheduled = 1.0,
    ) -> None:
        super().__init__()
        if form not in get_args(Form):
            raise ValueError(unknown_name("form of GloRo", str(form), get_args(Form)))
        if weight is not None and form != "trades":
            raise ValueError(f"weight={weight} in GloRo has no effect with form={form!r}; use form='trades'")
        self.radius = self.follow("radius", radius, not_negative)
        self.form = form
        self.weight = None if weight is None else positive("weight", weight, "GloRo")
        self.temperature = self.follow("temperature", temperature, positive)

    @override
    def forward(self, logits: Tensor, labels: Tensor, constants: Tensor | None = None) -> Tensor:
        z = checked_logits(logits, labels, least=2)
        bottom = gloro_logit(z, constants, self.radius)
        if self.form == "cross-entropy":
            return tempered_cross_entropy(torch.cat([z, bottom[:, None]], dim=1), labels, self.temperature)
        sharp = z / self.temperature
        uncertain = functional.softplus(bottom / self.temperature - sharp.logsumexp(dim=1)).mean()
        weight = 1.0 if self.weight is None else self.weight
        return tempered_cross_entropy(z, labels, self.temperature) + weight * self.temperature * uncertain
