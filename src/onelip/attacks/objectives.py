"""What attacks climb: functions of the logits that grow as the label loses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Loss = Literal["ce", "dlr", "margin", "targeted-dlr"]

CustomLoss = Callable[[Tensor, Tensor], Tensor]
"""From logits (N, K) and labels (N,) to (N,) values, to be made large."""

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From logits (N, K), labels (N,) and target classes (N,) to (N,) values, to be made large."""


_THIRD, _THIRD_AND_FOURTH = (1.0, 0.0, -1.0), (1.0, 0.0, -0.5, -0.5)
"""Weights of the largest logits in the spreads that divide margins."""


@dataclass(frozen=True, eq=False)
class Slope:
    """An objective at logits, and how it changes with them.

    Attributes:
        value: (N,) values.
        gradient: (N, K) derivatives by the logits.
        margin: (N,) lead of the label over the best other class.
    """

    value: Tensor
    gradient: Tensor
    margin: Tensor


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Measure the lead of the label over the best other class.

    Args:
        logits: (N, K).
        y: (N,) labels.

    Returns:
        (N,) z_y - max_{j != y} z_j.
    """
    return _of(logits, y) - _others(logits, y).amax(1)


def _of(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def _others(logits: Tensor, y: Tensor) -> Tensor:
    return logits.scatter(1, y[:, None], -torch.inf)


def _negative_margin(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    return -margin(logits, y)


def _cross_entropy(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    # Cross-entropy is log(1 + exp(u)) with this u, which grows with it but neither saturates nor loses its gradient
    # where the label leads by far. Steps depend on directions and on the order of values alone, which are the same.
    return torch.logsumexp(_others(logits, y), 1) - _of(logits, y)


def slope(function: Objective, logits: Tensor, y: Tensor, target: Tensor) -> Slope:
    """Differentiate an objective by the logits alone.

    The functions that APGD climbs take half as many passes over the logits in closed form as through autograd.

    Args:
        function: What is climbed, as `objective` gives it.
        logits: (N, K); their graph is not followed.
        y: (N,) labels.
        target: (N,) target classes.

    Returns:
        Values, derivatives and margins.
    """
    logits = logits.detach()
    if function is _cross_entropy:
        return _slope_of_cross_entropy(logits, y)
    if function is _targeted_dlr:
        return _slope_of_quotient(logits, y, target, _THIRD_AND_FOURTH)
    with torch.enable_grad():
        z = logits.requires_grad_()
        value = function(z, y, target)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return Slope(value.detach(), gradient, margin(logits.detach(), y))


def _slope_of_cross_entropy(logits: Tensor, y: Tensor) -> Slope:
    others = _others(logits, y)
    top = others.amax(1, keepdim=True)
    lead = _of(logits, y) - top[:, 0]
    # Over few classes torch's softmax takes three times as long as its parts.
    powers = (others - top).exp_()
    total = powers.sum(1, keepdim=True)
    return Slope(total[:, 0].log() - lead, (powers / total).scatter_(1, y[:, None], -1.0), lead)


def _slope_of_quotient(logits: Tensor, y: Tensor, rival: Tensor, weights: tuple[float, ...]) -> Slope:
    # d(-lead / spread) = -d lead / spread + (lead / spread) d spread / spread, and both are sums of a few logits.
    top = logits.topk(len(weights), 1)
    lead, spread = _of(logits, y) - _of(logits, rival), _spread(top.values, weights)
    value = _quotient(lead, spread)
    inverse = spread.clamp_min(torch.finfo(spread.dtype).tiny).reciprocal()
    parts = torch.outer(-value * inverse, logits.new_tensor(weights))
    classes = torch.cat([y[:, None], rival[:, None], top.indices], 1)
    changes = torch.cat([-inverse[:, None], inverse[:, None], parts], 1)
    return Slope(value, torch.zeros_like(logits).scatter_add_(1, classes, changes), margin(logits, y))


def _quotient(lead: Tensor, spread: Tensor) -> Tensor:
    # The spread is 0 where the best classes tie.
    return -lead / spread.clamp_min(torch.finfo(lead.dtype).tiny)


def _dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    return _quotient(margin(logits, y), _spread(logits.topk(3, 1).values, _THIRD))


def _targeted_dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    return _quotient(_of(logits, y) - _of(logits, target), _spread(logits.topk(4, 1).values, _THIRD_AND_FOURTH))


def _spread(top: Tensor, weights: tuple[float, ...]) -> Tensor:
    return top @ top.new_tensor(weights)


_OBJECTIVES: dict[Loss, tuple[Objective, int]] = {
    "ce": (_cross_entropy, 2),
    "dlr": (_dlr, 3),
    "margin": (_negative_margin, 2),
    "targeted-dlr": (_targeted_dlr, 4),
}


def objective(loss: Loss | CustomLoss, n_classes: int) -> Objective:
    """Choose what an attack climbs.

    "ce" is cross-entropy, "margin" max_{j != y} z_j - z_y. "dlr" divides the latter by the difference of the largest
    and the third logit, "targeted-dlr" z_t - z_y by that of the largest and the mean of the third and the fourth, so
    that neither depends on the scale or the offset of the logits.

    Args:
        loss: Name of the loss, or a function of logits and labels that is climbed as it is.
        n_classes: Number of logits.

    Returns:
        The function.

    Raises:
        ValueError: If there is no such loss, or too few classes for it.

    Paper: Croce and Hein 2020, arXiv:2003.01690, equations 6 and 7.
    """
    if callable(loss):
        return _custom(loss)
    if loss not in _OBJECTIVES:
        raise ValueError(f"loss={loss!r} of an attack must be one of {', '.join(_OBJECTIVES)}, or a function")
    function, least = _OBJECTIVES[loss]
    if n_classes < least:
        raise ValueError(f"loss={loss!r} needs at least {least} classes, not {n_classes}; use loss='margin'")
    return function


def _custom(loss: CustomLoss) -> Objective:
    def climbed(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
        value = loss(logits, y)
        if not isinstance(value, Tensor) or value.shape != y.shape:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"loss of an attack must return one value for each sample, {tuple(y.shape)}, not {shape}")
        return value

    return climbed
