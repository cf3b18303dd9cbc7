"""The nearest misclassified points that PGD can find."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from onelip.attacks.pgd import LOSSES, attacked, l2_pgd, misclassified

_BISECTIONS = 14

_WALKS = 8
"""Steps along the boundary for each point found."""

_OVERSHOOTS = (1.0, 1.01, 1.1)
"""How far to go, relative to the distance of the linearised boundary, hoping to be on its other side."""

_TIGHTER = (0.97, 0.97)
"""Balls searched once more, relative to the distance reached."""


def nearest_adversarial(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    max_radius: float,
    n_radii: int = 8,
    steps: int = 40,
    restarts: int = 2,
    box: tuple[float, float] | None = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Find misclassified points as near to samples as an attack can.

    Balls of growing radius are searched by PGD; what is found is pulled towards its sample by bisection along the
    segment between them, walks along the boundary to the point that is nearest if the boundary is flat (as DeepFool
    does), and then smaller balls are searched again. The distance is an upper bound of the true one.

    Args:
        model: A classifier; left as it was.
        x: `(N, ...)` images.
        y: `(N,)` labels.
        max_radius: Largest l2 distance looked at, > 0.
        n_radii: How many radii, evenly spaced up to `max_radius`.
        steps: Gradient steps per restart.
        restarts: Starting points per ball.
        box: Smallest and largest pixel, or None.
        generator: For the starting points.

    Returns:
        `(N, ...)` points (the sample itself where none was found or it is misclassified already), and `(N,)` their
        distances: 0 for misclassified samples, infinite where none was found.

    Raises:
        ValueError: If `max_radius` is not positive or `n_radii` is less than 1.
    """
    if not (max_radius > 0 and math.isfinite(max_radius)):
        raise ValueError(f"max_radius={max_radius} in nearest_adversarial must be positive and finite")
    if n_radii < 1:
        raise ValueError(f"n_radii={n_radii} in nearest_adversarial must be at least 1")

    def attack(samples: Tensor, labels: Tensor, balls: Tensor) -> Tensor:
        return l2_pgd(
            model, samples, labels, balls, steps=steps, restarts=restarts, box=box, generator=generator
        )  # fmt: skip

    with attacked(model):
        best = x.detach().clone()
        distance = torch.full((len(x),), math.inf, dtype=x.dtype, device=x.device)
        distance[misclassified(model, x, y)] = 0
        for k in range(1, n_radii + 1):
            _search(model, x, y, best, distance, torch.isinf(distance), max_radius * k / n_radii, attack, box)
        for share in _TIGHTER:
            open_ = torch.isfinite(distance) & (distance > 0)
            _search(model, x, y, best, distance, open_, share, attack, box)
    return best, distance


def _search(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    best: Tensor,
    distance: Tensor,
    chosen: Tensor,
    radius: float,
    attack: Callable[[Tensor, Tensor, Tensor], Tensor],
    box: tuple[float, float] | None,
) -> None:
    # Searches the chosen samples, whose radius is a share of the best distance if there is one, and improves both.
    index = chosen.nonzero()[:, 0]
    if len(index) == 0:
        return
    known = distance[index]
    found = attack(x[index], y[index], torch.where(torch.isfinite(known), known, 1.0) * radius)
    hit = misclassified(model, found, y[index])
    index, found = index[hit], found[hit]
    if len(index) == 0:
        return
    found = _walked(model, x[index], y[index], _pulled(model, x[index], y[index], found), box)
    lengths = _lengths(found - x[index])
    better = lengths < distance[index]
    best[index[better]], distance[index[better]] = found[better], lengths[better]


def _lengths(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))


def _walked(model: nn.Module, x: Tensor, y: Tensor, found: Tensor, box: tuple[float, float] | None) -> Tensor:
    # With g the gradient of the margin at a boundary point b, the nearest point to x of the plane through b is
    # x + g <g, b - x> / ||g||^2.
    for _ in range(_WALKS):
        point = found.detach().requires_grad_(True)
        with torch.enable_grad():
            gradient = torch.autograd.grad(LOSSES["margin"](model(point), y).sum(), point)[0]
        along = (gradient * (found - x)).flatten(1).sum(1) / _lengths(gradient).square().clamp(min=1e-30)
        step = gradient * _column(along, x)
        candidate = found
        for overshoot in reversed(_OVERSHOOTS):
            beyond = x + overshoot * step
            if box is not None:
                beyond = torch.minimum(torch.maximum(beyond, x.clamp(max=box[0])), x.clamp(min=box[1]))
            candidate = torch.where(_column(misclassified(model, beyond, y), x), beyond, candidate)
        candidate = _pulled(model, x, y, candidate)
        nearer = _lengths(candidate - x) < _lengths(found - x)
        found = torch.where(_column(nearer, x), candidate, found)
    return found


def _pulled(model: nn.Module, x: Tensor, y: Tensor, found: Tensor) -> Tensor:
    # Bisects the share t of the segment from x to `found`; at t = 1 the point is misclassified.
    low, high = torch.zeros(len(x), device=x.device, dtype=x.dtype), torch.ones(len(x), device=x.device, dtype=x.dtype)
    kept = found
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        point = x + _column(middle, x) * (found - x)
        wrong = misclassified(model, point, y)
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        kept = torch.where(_column(wrong, x), point, kept)
    return kept
