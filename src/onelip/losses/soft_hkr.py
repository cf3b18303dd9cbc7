"""Hinge-Kantorovich-Rubinstein loss with the wrong classes weighed by a softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import override

from onelip.losses.kantorovich_rubinstein import half_margin_hinge, hinge_weight, one_hot, signed
from onelip.losses.loss import Loss, checked_logits, fraction, positive
from onelip.losses.registry import register_loss

# Limits of the tracked size of the logits and of the sharpness of the softmax, as in DEEL-Torchlip.
_SIZES = (0.005, 1000.0)
_LARGEST_SIZE = 20000.0
_SHARPNESS = (0.005, 250.0)


@register_loss("soft-hkr")
class SoftHKR(Loss):
    """Hinge-KR loss with softmax weights: `sum_j w_j (alpha max(0, m/2 - s_j z_j) - (1 - alpha) s_j z_j)`, mean.

    s = 1, w = 1 for the right class; s = -1 and w = softmax over the wrong classes of tau z for those. The sharpness
    tau = t m / max(m, a) follows the size of the logits: a is a moving average of mean |z|, from m on. In training each
    batch moves it; in eval it rests. It is a buffer, kept in the state dict.

    Args:
        alpha: Weight of the hinge in [0, 1].
        margin: m > 0, in units of the logits.
        temperature: t > 0, dimensionless; a higher one gives more weight to the strongest wrong class.
        decay: Weight of the past in the moving average, in [0, 1].

    Raises:
        ValueError: An option is out of range.

    Paper:
        Serrurier, Mamalet, Fel, Bethune and Boissin 2023, "On the explainable properties of 1-Lipschitz Neural
        Networks", arXiv:2206.06854; numbers as in DEEL-Torchlip.
    """

    mean_size: Tensor

    def __init__(
        self, *, alpha: float = 0.9, margin: float = 1.0, temperature: float = 1.0, decay: float = 0.99
    ) -> None:
        super().__init__()
        self.alpha = hinge_weight(alpha, "SoftHKR")
        self.margin = positive("margin", margin, "SoftHKR")
        self.temperature = positive("temperature", temperature, "SoftHKR")
        self.decay = fraction("decay", decay, "SoftHKR")
        self.register_buffer("mean_size", torch.tensor(self.margin))

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = checked_logits(logits, labels, least=2)
        inside = one_hot(labels, z.shape[1])
        sharp = self._sharpness(z.detach()).to(z.dtype) * z
        weights = sharp.masked_fill(inside, -math.inf).softmax(dim=1).masked_fill(inside, 1.0)
        s = signed(z, inside)
        each = self.alpha * half_margin_hinge(s, self.margin) - (1 - self.alpha) * s
        return (weights * each).sum(dim=1).mean()

    def _sharpness(self, logits: Tensor) -> Tensor:
        size = self.mean_size
        if self.training:
            size = self.decay * size + (1 - self.decay) * logits.abs().mean().to(size.dtype)
            self.mean_size.copy_(size.clamp(*_SIZES))
        return (self.temperature * self.margin / size.clamp(self.margin, _LARGEST_SIZE)).clamp(*_SHARPNESS)
