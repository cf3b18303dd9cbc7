"""Certified radii from logits, a Lipschitz constant, and the rows of a linear head; rounded down."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.linalg import down, gamma, sqrt_up, up

LARGEST_RADIUS = 1e12
"""Radii are capped here: where no other class can ever win, say because its row of the head is a copy of the
predicted one with a smaller bias, the true radius is infinite."""

SHAVE = 1 - 2e-6
"""Factor on every radius, so that a checker whose own proof of the constant is looser by a few parts in a million
still confirms it."""


def pair_norms(weight: Tensor) -> Tensor:
    """Bound the l2 distances of all pairs of rows of a linear head.

    Args:
        weight: `(n_classes, features)`, real.

    Returns:
        `(n_classes, n_classes)` float64, rounded up; 0 exactly where rows are equal.
    """
    w = weight.detach().to("cpu", torch.float64)
    # Powers of two keep squares from under- and overflow; 2^1000 makes the smallest number large enough.
    scale = 2.0 ** min(-math.frexp(float(w.abs().max()))[1], 1000) if bool(w.any()) else 1.0
    w = w * scale
    norms = torch.stack([torch.linalg.vector_norm(w - row, dim=1) for row in w])
    distinct = torch.stack([(w != row).any(1) for row in w])
    # Relative error of the differences, squares, sum and root; 2^-537 for squares that underflow.
    above = norms * (1 + gamma(w.shape[1] + 6)) + 2.0**-520
    # Subnormal quotients round by more than that, hence one step up.
    quotients = above / scale
    return torch.where(distinct, torch.nextafter(quotients, torch.full_like(quotients, math.inf)), 0.0)


def certified_radii(
    logits: Tensor, errors: Tensor, labels: Tensor, constant: float, pairs: Tensor | None = None
) -> Tensor:
    """Certify l2 balls in which the prediction cannot change.

    With f = head(g), the constant L of g and rows w_i of the head, class j cannot overtake the predicted class t
    within r_j = (z_t - z_j - 4 e) / (L ||w_t - w_j||); the radius is the least r_j. Without a linear head,
    ||w_t - w_j|| is replaced by sqrt 2 and L is the constant of f. The error e of each logit enters four times, once
    for each logit here and once for each in a checker's own evaluation.

    Args:
        logits: `(N, n_classes)` float64.
        errors: `(N,)` proved bounds of ||computed - exact logits||.
        labels: `(N,)` int64.
        constant: L.
        pairs: `(n_classes, n_classes)` bounds of ||w_i - w_j||, or None.

    Returns:
        `(N,)` float64, in the units of the input, rounded down; 0 for misclassified samples, for ties, and wherever
        a logit, an error or the constant is not finite. At most `LARGEST_RADIUS`.

    Paper: Tsuzuku, Sato and Sugiyama 2018, arXiv:1802.04034, proposition 1; pairs as in Leino, Wang and Fredrikson
    2021, arXiv:2102.08452.
    """
    logits, errors, labels = (t.detach().cpu() for t in (logits, errors, labels))
    sound = torch.isfinite(logits).all(1) & torch.isfinite(errors)
    if not math.isfinite(constant):
        return torch.zeros(len(logits), dtype=torch.float64)
    rows = torch.arange(len(logits))
    margins = logits[rows, labels][:, None] - logits - 4 * errors[:, None]
    # One rounding of the difference, relative to itself, one of the last subtraction, relative to the largest part.
    margins = margins - (margins.abs() + 4 * errors[:, None]) * gamma(4)
    distances = torch.full_like(logits, sqrt_up(2.0)) if pairs is None else pairs[labels]
    slopes = distances * up(constant) * (1 + gamma(4)) if constant > 0 else torch.zeros_like(distances)
    radii = torch.where(margins > 0, margins / slopes * down(SHAVE), 0.0)
    radii[rows, labels] = math.inf
    least = radii.min(1).values.clamp(max=LARGEST_RADIUS)
    return torch.where(sound, least, 0.0).nan_to_num(nan=0.0)
