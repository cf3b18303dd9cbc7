"""Certified radii from logits, a Lipschitz constant, and the rows of a linear head; rounded down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from onelip.bounds.registry import Norm
from onelip.linalg import down, gamma, sqrt_up, up

LARGEST_RADIUS = 1e12
"""Radii are capped here: where no other class can ever win, say because its row of the head is a copy of the
predicted one with a smaller bias, the true radius is infinite."""

SHAVE = 1 - 2e-6
"""Factor on every radius, so that a checker whose own proof of the constant is looser by a few parts in a million
still confirms it."""


def pair_norms(weight: Tensor, norm: Norm = "l2") -> Tensor:
    """Bound the distances of all pairs of rows of a linear head: what a difference of two logits stretches by.

    Args:
        weight: `(n_classes, features)`, real.
        norm: Of the features: "l2" for l2 distances, "linf" for l1 distances.

    Returns:
        `(n_classes, n_classes)` float64, rounded up; 0 exactly where rows are equal.
    """
    w = weight.detach().to("cpu", torch.float64)
    # Powers of two keep squares from under- and overflow; 2^1000 makes the smallest number large enough.
    scale = 2.0 ** min(-math.frexp(float(w.abs().max()))[1], 1000) if bool(w.any()) else 1.0
    w = w * scale
    norms = torch.stack([torch.linalg.vector_norm(w - row, 2 if norm == "l2" else 1, dim=1) for row in w])
    distinct = torch.stack([(w != row).any(1) for row in w])
    # Relative error of the differences, squares, sum and root; 2^-537 for squares that underflow.
    above = norms * (1 + gamma(w.shape[1] + 6)) + 2.0**-520
    # Subnormal quotients round by more than that, hence one step up.
    quotients = above / scale
    return torch.where(distinct, torch.nextafter(quotients, torch.full_like(quotients, math.inf)), 0.0)


def pair_slopes(constant: float, n_classes: int, rows: Tensor | None = None, norm: Norm = "l2") -> Tensor:
    """Bound the Lipschitz constants of all differences of logits.

    With f = head(g), the constant L of g and rows w_i of the head, f_t - f_j has the constant L ||w_t - w_j||, in l2
    or, for the l_inf norm, in l1. Without a linear head it has sqrt 2 L, or 2 L in l_inf, with L the constant of f.

    Args:
        constant: L.
        n_classes: Number of logits.
        rows: `(n_classes, features)` of a linear head, or None.
        norm: "l2" or "linf", in which L holds.

    Returns:
        `(n_classes, n_classes)` float64, rounded up; 0 on the diagonal and where rows are equal.
    """
    both = sqrt_up(2.0) if norm == "l2" else 2.0
    distances = torch.full((n_classes, n_classes), both, dtype=torch.float64).fill_diagonal_(0.0)
    distances = distances if rows is None else pair_norms(rows, norm)
    if not constant > 0:
        return torch.zeros_like(distances)
    return torch.where(distances > 0, distances * up(constant) * (1 + gamma(4)), 0.0)


def joined_slopes(parts: Sequence[tuple[int, float]], norm: Norm = "l2") -> Tensor:
    """Bound the Lipschitz constants of all differences of logits that come from separate maps of the input.

    Logits of two maps with constants L and M differ by a function of constant L + M; those of one map as in
    `pair_slopes`, by sqrt 2 L, or 2 L in l_inf.

    Args:
        parts: How many logits each map gives, and its constant, in the order of the logits.
        norm: "l2" or "linf", in which the constants hold.

    Returns:
        `(n_classes, n_classes)` float64, rounded up; 0 on the diagonal.
    """
    counts = torch.tensor([count for count, _ in parts])
    part = torch.repeat_interleave(torch.arange(len(parts)), counts)
    constants = torch.tensor([constant for _, constant in parts], dtype=torch.float64)[part]
    same = constants * (sqrt_up(2.0) if norm == "l2" else 2.0)
    sums = torch.where(part[:, None] == part, same[:, None], constants[:, None] + constants)
    return (sums * (1 + gamma(4))).fill_diagonal_(0.0)


def class_radii(logits: Tensor, errors: Tensor, labels: Tensor, slopes: Tensor) -> Tensor:
    """Certify, for every class, a ball in which it cannot overtake the label.

    With the constant s_tj of the difference of logits t and j, class j cannot overtake the label t within
    r_j = (z_t - z_j - 4 e) / s_tj. The error e of each logit enters four times, once for each logit here and once for
    each in a checker's own evaluation.

    Args:
        logits: `(N, n_classes)` float64.
        errors: `(N,)` proved bounds of ||computed - exact logits||.
        labels: `(N,)` int64.
        slopes: `(n_classes, n_classes)` proved constants of all differences of logits, from `pair_slopes`.

    Returns:
        `(N, n_classes)` float64, in the units and the norm of the input, rounded down; 0 for classes that already win
        or tie, and wherever a logit, the error or a constant is not finite. At most `LARGEST_RADIUS`, which is also
        what the label itself has.

    Paper: Tsuzuku, Sato and Sugiyama 2018, arXiv:1802.04034, proposition 1; pairs as in Leino, Wang and Fredrikson
    2021, arXiv:2102.08452.
    """
    logits, errors, labels = (t.detach().cpu() for t in (logits, errors, labels))
    rows = torch.arange(len(logits))
    margins = logits[rows, labels][:, None] - logits - 4 * errors[:, None]
    # One rounding of the difference, relative to itself, one of the last subtraction, relative to the largest part.
    margins = margins - (margins.abs() + 4 * errors[:, None]) * gamma(4)
    divisors = slopes[labels] * (1 + gamma(4))
    radii = torch.where(margins > 0, margins / divisors * down(SHAVE), 0.0)
    sound = torch.isfinite(logits).all(1) & torch.isfinite(errors)
    radii = torch.where(sound[:, None] & torch.isfinite(divisors), radii, 0.0).nan_to_num(nan=0.0)
    radii[rows, labels] = math.inf
    return radii.clamp(max=LARGEST_RADIUS)


def certified_radii(logits: Tensor, errors: Tensor, labels: Tensor, slopes: Tensor) -> Tensor:
    """Certify balls in which the prediction cannot change: the least of `class_radii`.

    Args:
        logits: `(N, n_classes)` float64.
        errors: `(N,)` proved bounds of ||computed - exact logits||.
        labels: `(N,)` int64.
        slopes: `(n_classes, n_classes)` proved constants of all differences of logits, from `pair_slopes`.

    Returns:
        `(N,)` float64, in the units and the norm of the input, rounded down; 0 for misclassified samples, for ties,
        and wherever a logit, an error or a constant is not finite. At most `LARGEST_RADIUS`.
    """
    return class_radii(logits, errors, labels, slopes).min(1).values
