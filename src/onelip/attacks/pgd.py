"""Projected gradient descent in l2 and l-infinity balls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from onelip.attacks import objectives
from onelip.attacks.ball import Balls, Box, checked_balls, steepest
from onelip.attacks.objectives import Objective


def l2_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float | None = None,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Search the l2 ball around each sample for one that the model gets wrong.

    Ascent in normalised gradient steps, each followed by the exact projection onto the intersection of ball and box.
    The first restart begins at the sample, the others uniformly in the ball; they climb the margin loss
    max_{j != y} z_j - z_y and the cross-entropy in turn. Samples that are already wrong stay in the result as they were
    found; only the others go on.

    Args:
        model: Classifier of (N, ...) samples; runs in eval mode, its mode and gradients are left as they were.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        radius: Radius of the ball in the units of `x`, one for all or (N,).
        steps: Gradient steps of each restart.
        restarts: How often to start, at least 1.
        step_size: Length of a step in the units of `x`; by default 2.5 radius / steps.
        box: Least and largest pixel value; (-inf, inf) for none.
        generator: Source of randomness for the starts, or None for torch's own.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If the radius is negative, a count is out of range or `x` leaves the box.

    Paper: Madry et al. 2018, arXiv:1706.06083.
    """
    balls = checked_balls(x, radius, "l2", box)
    return _search(model, balls, y, steps, restarts, step_size, generator)


def linf_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float | None = None,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Search the l-infinity ball around each sample for one that the model gets wrong.

    As `l2_pgd`, with the signs of the gradient as the direction of steps.

    Args:
        model: Classifier of (N, ...) samples; runs in eval mode, its mode and gradients are left as they were.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        radius: Largest change of a pixel, one for all samples or (N,).
        steps: Gradient steps of each restart.
        restarts: How often to start, at least 1.
        step_size: Change of a pixel in one step; by default 2.5 radius / steps.
        box: Least and largest pixel value; (-inf, inf) for none.
        generator: Source of randomness for the starts, or None for torch's own.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If the radius is negative, a count is out of range or `x` leaves the box.

    Paper: Madry et al. 2018, arXiv:1706.06083.
    """
    balls = checked_balls(x, radius, "linf", box)
    return _search(model, balls, y, steps, restarts, step_size, generator)


def margins(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Margin of the label over the best other class.

    Args:
        model: Classifier, run in eval mode without gradients.
        x: (N, ...) samples.
        y: (N,) labels.

    Returns:
        (N,) z_y - max_{j != y} z_j: negative where the answer is wrong; a tie still counts as right.
    """
    with evaluating(model), torch.no_grad():
        return objectives.margin(model(x), y)


def _search(
    model: nn.Module,
    balls: Balls,
    y: Tensor,
    steps: int,
    restarts: int,
    step_size: float | None,
    generator: torch.Generator | None,
) -> Tensor:
    check_counts(steps, restarts)
    best = balls.origin.clone()
    with evaluating(model), torch.no_grad():
        logits = model(best)
    best_margin, n_classes = objectives.margin(logits, y), logits.shape[1]
    for restart in range(restarts):
        active = torch.nonzero(~(best_margin < 0)).flatten()
        if not len(active):
            break
        chosen = balls[active]
        start = chosen.random(generator) if restart else chosen.origin
        r = chosen.radius
        step = r * 2.5 / max(steps, 1) if step_size is None else torch.full_like(r, step_size)
        function = objectives.objective("ce" if restart % 2 else "margin", n_classes)
        found, margin = _climb(model, function, chosen, start, y[active], step, steps)
        better = margin < best_margin[active]
        best[active[better]], best_margin[active[better]] = found[better], margin[better]
    return best


def _climb(
    model: nn.Module, function: Objective, balls: Balls, start: Tensor, y: Tensor, step: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    point = start
    best, best_margin = start.clone(), torch.full(y.shape, torch.inf, dtype=start.dtype, device=start.device)
    with evaluating(model):
        for k in range(steps + 1):
            with torch.enable_grad():
                point = point.detach().requires_grad_()
                logits = model(point)
                (gradient,) = torch.autograd.grad(function(logits, y, y).sum(), point)
            margin = objectives.margin(logits.detach(), y)
            better = margin < best_margin
            best[better], best_margin[better] = point.detach()[better], margin[better]
            if k == steps or bool((best_margin < 0).all()):
                break
            point = balls.project(point.detach() + step * steepest(gradient, balls.norm))
    return best, best_margin


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run a model in eval mode with frozen parameters, and put both back.

    Args:
        model: Any module.

    Yields:
        Nothing.
    """
    modes = {m: m.training for m in model.modules()}
    frozen = [p for p in model.parameters() if p.requires_grad]
    model.eval()
    for p in frozen:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in frozen:
            p.requires_grad_(True)
        for module, training in modes.items():
            module.training = training


def check_counts(steps: int, restarts: int) -> None:
    """Check the effort of an attack.

    Args:
        steps: Gradient steps of each restart.
        restarts: How often to start.

    Raises:
        ValueError: If one is out of range.
    """
    if steps < 0 or restarts < 1:
        raise ValueError(f"steps={steps}, restarts={restarts} of an attack must be at least 0 and at least 1")
