"""Accuracy and certified accuracy of logits, by name.

These are floating-point formulas on the logits and the constant that the caller gives, for watching a training; a
proof, with every rounding error counted, is `onelip.certify.certify`. Radii are l2 distances in units of the input.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.linalg import unknown_name
from onelip.registry import Registry

__all__ = [
    "Accuracy",
    "CertifiedAccuracy",
    "Margin",
    "available",
    "build",
    "certified_radius",
    "correct",
    "register_metric",
    "signed_margin",
]

LastLayer = Literal["global", "classwise", "pairwise"]
_FACTORS = {"global": math.sqrt(2.0), "classwise": 2.0}

_REGISTRY: Registry[nn.Module] = Registry("metric")
register_metric = _REGISTRY.register
available = _REGISTRY.available


def build(name: str, **options: Any) -> nn.Module:
    """Build a metric by name.

    Args:
        name: A name from `available()`.
        **options: Keyword arguments of the metric.

    Returns:
        A module that maps logits `(N, K)` and labels `(N,)` to a float64 scalar, the mean over the samples.

    Raises:
        ValueError: The name or an option is unknown, or an option is out of range.
    """
    return _REGISTRY.part(name, options).factory(**options)


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Say which predictions are right.

    Args:
        logits: `(N, K)`.
        labels: `(N,)` int64.

    Returns:
        `(N,)` bool; False where a logit is NaN.
    """
    return (logits.argmax(dim=1) == labels) & ~logits.isnan().any(dim=1)


def signed_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Measure by how much the right logit leads: `z_y - max over j != y of z_j`.

    Args:
        logits: `(N, K)` with K >= 2.
        labels: `(N,)` int64.

    Returns:
        `(N,)` in units of the logits, negative where the prediction is wrong, NaN where a logit is NaN.

    Raises:
        ValueError: There are fewer than two classes, or the shapes disagree.
    """
    lead = _leads(logits, labels)
    return lead.amin(dim=1)


def certified_radius(
    logits: Tensor,
    labels: Tensor,
    *,
    lipschitz: float = 1.0,
    last_layer: LastLayer = "global",
    head: Tensor | None = None,
) -> Tensor:
    """Compute the l2 radius of the ball in which the right prediction cannot change.

    `min over j != y of (z_y - z_j) / (L c_j)`, 0 where the prediction is wrong. The factor c says what is known of the
    last layer:

    * "global": the map to all logits together has constant L; c = sqrt 2.
    * "classwise": each logit alone has constant L; c = 2.
    * "pairwise": the map to the input of a linear head has constant L, and c_j = ||w_y - w_j||_2.

    Args:
        logits: `(N, K)` with K >= 2.
        labels: `(N,)` int64.
        lipschitz: `L` > 0.
        last_layer: What `lipschitz` is the constant of.
        head: `(K, D)` weight of the head; needed for, and only for, "pairwise".

    Returns:
        `(N,)` float64 >= 0, in units of the input; 0 where a logit is NaN.

    Raises:
        ValueError: An argument is unknown, out of range, missing or makes no difference.
    """
    _check_radius_arguments(lipschitz, last_layer, head)
    lead = _leads(logits.double(), labels)
    if head is None:
        radius = lead.amin(dim=1) / (_FACTORS[last_layer] * lipschitz)
    else:
        if len(head) != logits.shape[1]:
            raise ValueError(f"head has {len(head)} rows in certified_radius; it must have one for each of the logits")
        rows = head.double()
        distance = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")[labels]
        # Equal rows: the lead over that class is a constant of the network, so it holds everywhere or nowhere.
        pair = torch.where(lead > 0, lead / (lipschitz * distance), torch.where(lead.isnan(), lead, 0.0))
        radius = pair.amin(dim=1)
    return torch.where(radius > 0, radius, 0.0)


# (N, K): z_y - z_j, and inf at j = y.
def _leads(logits: Tensor, labels: Tensor) -> Tensor:
    if logits.dim() != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits has shape {tuple(logits.shape)} and labels {tuple(labels.shape)}; "
            f"a margin needs (N, K) with K >= 2, and (N,)"
        )
    right = logits.gather(1, labels[:, None])
    # A NaN of the right logit is in every other entry of the row, so nothing is lost here.
    return (right - logits).scatter(1, labels[:, None], math.inf)


def _check_radius_arguments(lipschitz: float, last_layer: str, head: Tensor | None) -> None:
    if not 0 < lipschitz < math.inf:
        raise ValueError(f"lipschitz={lipschitz} in certified_radius must be positive and finite")
    if last_layer not in ("global", "classwise", "pairwise"):
        raise ValueError(unknown_name("last layer", last_layer, ("global", "classwise", "pairwise")))
    if (head is not None) != (last_layer == "pairwise"):
        state = "missing" if head is None else "given"
        raise ValueError(f"head is {state} in certified_radius with last_layer={last_layer!r}; only 'pairwise' uses it")


@register_metric("accuracy")
class Accuracy(nn.Module):
    """Share of right predictions, between 0 and 1."""

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return correct(logits, labels).double().mean()


@register_metric("margin")
class Margin(nn.Module):
    """Mean lead of the right logit over the next one, in units of the logits; negative leads count."""

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return signed_margin(logits, labels).double().mean()


@register_metric("certified-accuracy")
class CertifiedAccuracy(nn.Module):
    """Share of predictions that are right and cannot change within an l2 radius (verified robust accuracy).

    Args:
        radius: The radius that must be exceeded strictly, >= 0, in units of the input.
        lipschitz: Constant L > 0 of the network, or of what precedes the head for "pairwise".
        last_layer: "global", "classwise" or "pairwise", see `certified_radius`.
        head: `(K, D)` weight of the head for "pairwise".

    Raises:
        ValueError: An argument is unknown, out of range, missing or makes no difference.
    """

    head: Tensor | None

    def __init__(
        self,
        *,
        radius: float = 36 / 255,
        lipschitz: float = 1.0,
        last_layer: LastLayer = "global",
        head: Tensor | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= radius < math.inf:
            raise ValueError(f"radius={radius} in CertifiedAccuracy must be >= 0 and finite")
        _check_radius_arguments(lipschitz, last_layer, head)
        self.radius = radius
        self.lipschitz = lipschitz
        self.last_layer: LastLayer = last_layer
        self.register_buffer("head", None if head is None else head.detach())

    @override
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        radii = certified_radius(logits, labels, lipschitz=self.lipschitz, last_layer=self.last_layer, head=self.head)
        return (radii > self.radius).double().mean()

    @override
    def extra_repr(self) -> str:
        return f"radius={self.radius:g}, lipschitz={self.lipschitz:g}, last_layer={self.last_layer!r}"
