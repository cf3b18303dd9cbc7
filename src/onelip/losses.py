"""Losses that reward margins, by name; all map logits `(N, K)` and labels `(N,)` to a scalar."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from onelip.registry import Registry

__all__ = [
    "CosineLoss",
    "CrossEntropy",
    "MultiMargin",
    "OffsetCrossEntropy",
    "available",
    "build",
    "register_loss",
]

_REGISTRY: Registry[nn.Module] = Registry("loss")
register_loss = _REGISTRY.register
available = _REGISTRY.available


def build(name: str, **options: Any) -> nn.Module:
    """Build a loss by name.

    Args:
        name: A name from `available()`.
        **options: Keyword arguments of the loss.

    Returns:
        A module that maps logits `(N, K)` and labels `(N,)` to a scalar.

    Raises:
        ValueError: The name or an option is unknown, or an option is out of range.
    """
    return _REGISTRY.part(name, options).factory(**options)


@register_loss("cross-entropy")
class CrossEntropy(nn.Module):
    """Cross-entropy of the softmax at a temperature: `T CE(z / T, y)`, the mean over the batch.

    Logits of a 1-Lipschitz network are bounded, so a small temperature is what lets it separate classes.

    Args:
        temperature: `T` > 0, in units of the logits.

    Raises:
        ValueError: The temperature is not positive.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = _positive("temperature", temperature, type(self).__name__)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = _checked(logits, labels)
        return self.temperature * functional.cross_entropy(z / self.temperature, labels)

    @override
    def extra_repr(self) -> str:
        return f"temperature={self.temperature:g}"


@register_loss("offset-cross-entropy")
class OffsetCrossEntropy(nn.Module):
    """Cross-entropy that asks the right logit to win by a margin: `T CE((z - u onehot(y)) / T, y)`, mean.

    Once the right logit leads by much more than u the loss vanishes; for a network with constant 1 a lead of u
    certifies the l2 radius u / sqrt 2, so the default asks for twice 36/255.

    Args:
        margin: `u` >= 0, in units of the logits.
        temperature: `T` > 0, in units of the logits.

    Raises:
        ValueError: The margin is negative or the temperature not positive.

    Paper:
        Prach and Lampert 2022, arXiv:2208.03160, section 5; with the factor T in front and these defaults: Prach,
        Brau, Buttazzo and Lampert 2023, arXiv:2311.16833.
    """

    def __init__(self, *, margin: float = 2 * math.sqrt(2) * 36 / 255, temperature: float = 0.25) -> None:
        super().__init__()
        self.margin = _not_negative("margin", margin, type(self).__name__)
        self.temperature = _positive("temperature", temperature, type(self).__name__)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = _checked(logits, labels)
        offset = self.margin * functional.one_hot(labels, z.shape[1]).to(z.dtype)
        return self.temperature * functional.cross_entropy((z - offset) / self.temperature, labels)

    @override
    def extra_repr(self) -> str:
        return f"margin={self.margin:g}, temperature={self.temperature:g}"


@register_loss("cosine")
class CosineLoss(nn.Module):
    """Minus the cosine of the angle between logits and one-hot label: `-z_y / ||z||_2`, mean.

    Between -1 and 1, blind to the scale of the logits; a zero logit vector counts 0.
    """

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = _checked(logits, labels)
        return -functional.normalize(z, dim=1).gather(1, labels[:, None]).mean()


@register_loss("multi-margin")
class MultiMargin(nn.Module):
    """Hinge on every wrong class: `1/K sum over j != y of max(0, u - z_y + z_j)^p`, the mean over the batch.

    Args:
        margin: `u` >= 0, in units of the logits.
        p: Exponent >= 1.

    Raises:
        ValueError: The margin is negative or the exponent below 1.
    """

    def __init__(self, *, margin: float = 1.0, p: float = 1.0) -> None:
        super().__init__()
        self.margin = _not_negative("margin", margin, type(self).__name__)
        if not 1 <= p < math.inf:
            raise ValueError(f"p={p} in MultiMargin is not an exponent of a convex hinge; it must be >= 1 and finite")
        self.p = float(p)

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        z = _checked(logits, labels)
        hinge = (self.margin + z - z.gather(1, labels[:, None])).clamp(min=0.0) ** self.p
        # The right class itself contributes margin^p and no gradient.
        wrong = functional.one_hot(labels, z.shape[1]) == 0
        return (hinge * wrong).sum(dim=1).mean() / z.shape[1]

    @override
    def extra_repr(self) -> str:
        return f"margin={self.margin:g}, p={self.p:g}"


def _checked(logits: Tensor, labels: Tensor) -> Tensor:
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits has shape {tuple(logits.shape)} and labels {tuple(labels.shape)}; they must be (N, K) and (N,)"
        )
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _positive(name: str, value: float, where: str) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{name}={value} in {where} must be positive and finite")
    return float(value)


def _not_negative(name: str, value: float, where: str) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}={value} in {where} must be >= 0 and finite")
    return float(value)
