"""The nearest misclassified points that PGD can find."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from onelip.attacks.ball import row_norm
from onelip.attacks.pgd import evaluating, l2_pgd, margins

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
    box: tuple[float, float] = (0.0, 1.0),
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
        box: Smallest and largest pixel.
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

    with evaluating(model):
        best = x.detach().clone()
        distance = torch.full((len(x),), math.inf, dtype=x.dtype, device=x.device)
        distance[margins(model, x, y) < 0] = 0
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
    box: tuple[float, float],
) -> None:
    # Searches the chosen samples, whose radius is a share of the best distance if there is one, and improves both.
    index = chosen.nonzero()[:, 0]
    if len(index) == 0:
        return
    known = distance[index]
    found = attack(x[index], y[index], torch.where(torch.isfinite(known), known, 1.0) * radius)
    hit = margins(model, found, y[index]) < 0
    index, found = index[hit], found[hit]
    if len(index) == 0:
        return
    found = _walked(model, x[index], y[index], pulled_closer(model, x[index], y[index], found), box)
    lengths = row_norm(found - x[index]).flatten()
    better = lengths < distance[index]
    best[index[better]], distance[index[better]] = found[better], lengths[better]


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))


def _walked(model: nn.Module, x: Tensor, y: Tensor, found: Tensor, box: tuple[float, float]) -> Tensor:
    # With g the gradient of the margin at a boundary point b, the nearest point to x of the plane through b is
    # x + g <g, b - x> / ||g||^2.
    for _ in range(_WALKS):
        point = found.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = model(point)
            others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
            gradient = torch.autograd.grad((others - logits.gather(1, y[:, None])[:, 0]).sum(), point)[0]
        along = (gradient * (found - x)).flatten(1).sum(1) / row_norm(gradient).flatten().square().clamp(min=1e-30)
        step = gradient * _column(along, x)
        candidate = found
        for overshoot in reversed(_OVERSHOOTS):
            beyond = (x + overshoot * step).clamp(*box)
            candidate = torch.where(_column(margins(model, beyond, y) < 0, x), beyond, candidate)
        candidate = pulled_closer(model, x, y, candidate)
        nearer = row_norm(candidate - x) < row_norm(found - x)
        found = torch.where(nearer, candidate, found)
    return found


def pulled_closer(model: nn.Module, x: Tensor, y: Tensor, found: Tensor) -> Tensor:
    """Look for misclassified points nearer to their samples on the segments between them, by bisection.

    Args:
        model: A classifier.
        x: `(N, ...)` samples.
        y: `(N,)` labels.
        found: `(N, ...)` misclassified points.

    Returns:
        `(N, ...)` misclassified points.
    """
    low, high = torch.zeros(len(x), device=x.device, dtype=x.dtype), torch.ones(len(x), device=x.device, dtype=x.dtype)
    kept = found
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        point = x + _column(middle, x) * (found - x)
        wrong = margins(model, point, y) < 0
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        kept = torch.where(_column(wrong, x), point, kept)
    return kept
