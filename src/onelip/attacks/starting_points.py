"""Misclassified points to start from, for attacks that see nothing but answers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box, row_norm
from onelip.attacks.through_foolbox import misclassified

DRAWS = 100
"""Images of uniform noise that are tried."""

BLENDS = 50
"""Mixtures of a sample and its starting point that are looked at."""


def starting_points(model: nn.Module, x: Tensor, y: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """Find a misclassified point for each sample, however far.

    Tried in turn: images of uniform noise, images of one value, and the nearest of the other samples. Then the first
    misclassified one of 50 even mixtures of sample and point is taken. Draws from torch's global generator.

    Args:
        model: Classifier in eval mode.
        x: (N, ...) samples that it gets right.
        y: (N,) labels.
        box: Least and largest pixel value, both finite.

    Returns:
        (N, ...) points, and (N,) where they are misclassified.
    """
    start, found = x.clone(), torch.zeros_like(y, dtype=torch.bool)
    low, high = box
    for k in range(DRAWS + 3):
        open_ = torch.nonzero(~found).flatten()
        if not len(open_):
            break
        candidate = torch.full_like(x[open_], low + (high - low) * (k - DRAWS) / 2)
        if k < DRAWS:
            candidate = low + (high - low) * torch.rand_like(candidate)
        wrong = misclassified(model, candidate, y[open_])
        start[open_[wrong]], found[open_[wrong]] = candidate[wrong], True
    _from_each_other(model, x, y, start, found)
    return _blended(model, x, y, start, found), found


def attacked_from(
    start: Tensor, found: Tensor, model: nn.Module, y: Tensor, run: Callable[[Tensor, Tensor], Tensor], x: Tensor
) -> Tensor:
    """Run an attack on the samples that have a misclassified point to start from.

    Args:
        start: (N, ...) points.
        found: (N,) where they are misclassified.
        model: Classifier in eval mode.
        y: (N,) labels.
        run: From the numbers of some samples, and their starting points, to points for them.
        x: (N, ...) samples.

    Returns:
        (N, ...) points, the samples themselves where there is no start.
    """
    points, index = x.clone(), torch.nonzero(found).flatten()
    while len(index):
        # The answer at the boundary may depend on what else is in the batch.
        wrong = misclassified(model, start[index], y[index])
        if bool(wrong.all()):
            points[index] = run(index, start[index])
            break
        index = index[wrong]
    return points


def _from_each_other(model: nn.Module, x: Tensor, y: Tensor, start: Tensor, found: Tensor) -> None:
    open_ = torch.nonzero(~found).flatten()
    for i in open_.tolist():
        others = torch.nonzero(y != y[i]).flatten()
        if len(others):
            nearest = others[row_norm(x[others] - x[i]).flatten().argmin()]
            found[i] = misclassified(model, x[nearest][None], y[i][None])[0]
            start[i] = torch.where(found[i], x[nearest], x[i])


def _blended(model: nn.Module, x: Tensor, y: Tensor, start: Tensor, found: Tensor) -> Tensor:
    kept, open_ = start, found.clone()
    for k in range(1, BLENDS):
        if not bool(open_.any()):
            break
        mixture = x + (k / BLENDS) * (start - x)
        wrong = misclassified(model, mixture, y) & open_
        kept = torch.where(wrong.reshape(-1, *[1] * (x.dim() - 1)), mixture, kept)
        open_ &= ~wrong
    return kept
