"""Pairs of logits: by how much the right one leads, and how fast their difference can change with the input."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEARLY_ZERO = 1e-8
"""Smallest divisor: rows of a head may coincide, and a radius may be 0."""


def pair_constants(constants: Tensor | None, labels: Tensor, logits: Tensor) -> Tensor:
    """Take the Lipschitz constants of the differences between the right logit and each.

    Args:
        constants: `(K, K)`, entry (i, j) for z_i - z_j, l2, in logits per unit of the pixels; None for sqrt 2 off the
            diagonal, as in a network that is 1-Lipschitz as a whole.
        labels: `(N,)`.
        logits: `(N, K)`, for size and precision.

    Returns:
        `(N, K)`; row n is that of label n, with 0 for the right logit itself.

    Raises:
        ValueError: `constants` has another shape.
    """
    n_classes = logits.shape[1]
    if constants is None:
        return torch.full_like(logits, math.sqrt(2)).scatter(1, labels[:, None], 0.0)
    if constants.shape != (n_classes, n_classes):
        raise ValueError(
            f"constants has shape {tuple(constants.shape)}; with {n_classes} logits it must be "
            f"({n_classes}, {n_classes}), one for each difference"
        )
    return constants.to(logits.dtype)[labels].scatter(1, labels[:, None], 0.0)


def pair_radii(logits: Tensor, labels: Tensor, constants: Tensor | None) -> Tensor:
    """Measure how far each wrong class is away: (z_y - z_j) / L_yj.

    Args:
        logits: `(N, K)`.
        labels: `(N,)`.
        constants: As in `pair_constants`.

    Returns:
        `(N, K)` in units of the pixels, negative for classes that win, infinite for the right class.
    """
    index = labels[:, None]
    leads = logits.gather(1, index) - logits
    radii = leads / pair_constants(constants, labels, logits).clamp(min=NEARLY_ZERO)
    return radii.scatter(1, index, math.inf)
