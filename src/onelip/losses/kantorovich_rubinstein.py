"""The two terms of hinge-KR losses, and the number that weighs them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from onelip.losses.loss import fraction


def kantorovich_rubinstein(outputs: Tensor, inside: Tensor) -> Tensor:
    """Compute the mean of each output inside its class minus the mean outside, over one batch.

    For a 1-Lipschitz output this is at most the Wasserstein-1 distance between the class and the rest; the best one
    attains it. As each part has a mean of its own, classes count alike however frequent they are.

    Args:
        outputs: `(N, C)`.
        inside: `(N, C)` bool: is sample n in the class of output c?

    Returns:
        The mean over the outputs, a scalar; a part without samples counts 0.
    """
    n_inside = inside.sum(dim=0)
    above = torch.where(inside, outputs, 0.0).sum(dim=0) / n_inside.clamp(min=1)
    below = torch.where(inside, 0.0, outputs).sum(dim=0) / (len(outputs) - n_inside).clamp(min=1)
    return (above - below).mean()


def signed(outputs: Tensor, inside: Tensor) -> Tensor:
    """Give outputs the sign with which they should be positive.

    Args:
        outputs: `(N, C)`.
        inside: `(N, C)` bool.

    Returns:
        The outputs inside their class, minus them outside.
    """
    return torch.where(inside, outputs, -outputs)


def half_margin_hinge(signed_outputs: Tensor, margin: float) -> Tensor:
    """Compute `max(0, m / 2 - s)`: the two sides of a boundary are then m apart.

    Args:
        signed_outputs: s, from `signed`.
        margin: m.

    Returns:
        Of the same shape.
    """
    return functional.relu(margin / 2 - signed_outputs)


def one_hot(labels: Tensor, n_classes: int) -> Tensor:
    """Say which class each sample is in.

    Args:
        labels: `(N,)`.
        n_classes: C.

    Returns:
        `(N, C)` bool.
    """
    return labels[:, None] == torch.arange(n_classes, device=labels.device)


def hinge_weight(value: float, where: str) -> float:
    """Take the weight alpha of the hinge, beside 1 - alpha of the KR term.

    Args:
        value: alpha.
        where: Whose option it is.

    Returns:
        The value.

    Raises:
        ValueError: It is not in [0, 1].
    """
    if isinstance(value, (int, float)) and value > 1:
        raise ValueError(
            f"alpha={value} in {where} must be in [0, 1]; where papers weigh the hinge by a > 1 beside a KR term of "
            f"weight 1, the same loss up to a factor has alpha = a / (1 + a) = {value / (1 + value):.6g}"
        )
    return fraction("alpha", value, where)
