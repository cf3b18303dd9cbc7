"""Projected gradient descent in the l2 ball."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from onelip.attacks.ball import project, random_in_ball, row_norm


def l2_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float | None = None,
    box: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Search the l2 ball around each sample for one that the model gets wrong.

    Ascent of the margin loss max_{j != y} z_j - z_y in normalised gradient steps, each followed by the exact
    projection onto the intersection of ball and box. The first restart begins at the sample, the others uniformly in
    the ball. Samples that are already wrong stay in the result as they were found; only the others go on.

    Args:
        model: Classifier of (N, ...) samples; runs in eval mode, its mode and gradients are left as they were.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        radius: Radius of the ball in the units of `x`, one for all or (N,).
        steps: Gradient steps of each restart.
        restarts: How often to start, at least 1.
        step_size: Length of a step in the units of `x`; by default 2.5 radius / steps.
        box: Least and largest pixel value.
        generator: Source of randomness for the starts, or None for torch's own.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If the radius is negative, a count is out of range or `x` leaves the box.

    Paper: Madry et al. 2018, arXiv:1706.06083.
    """
    radii = _checked_radii(x, radius, steps, restarts, box)
    best, best_margin = x.clone(), margins(model, x, y)
    for restart in range(restarts):
        active = torch.nonzero(best_margin >= 0).flatten()
        if not len(active):
            break
        start, r = x[active], radii[active]
        if restart:
            start = project(start + random_in_ball(start, r, generator), start, r, box)
        step = r * 2.5 / max(steps, 1) if step_size is None else torch.full_like(r, step_size)
        found, margin = _climb(model, start, x[active], y[active], r, step, steps, box)
        better = margin < best_margin[active]
        best[active[better]], best_margin[active[better]] = found[better], margin[better]
    return best


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
        return _margin(model(x), y)


def _margin(logits: Tensor, y: Tensor) -> Tensor:
    others = logits.scatter(1, y[:, None], -torch.inf)
    return logits.gather(1, y[:, None])[:, 0] - others.amax(1)


def _climb(
    model: nn.Module,
    start: Tensor,
    origin: Tensor,
    y: Tensor,
    radius: Tensor,
    step: Tensor,
    steps: int,
    box: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    point = start
    best, best_margin = start.clone(), torch.full(y.shape, torch.inf, dtype=start.dtype, device=start.device)
    with evaluating(model):
        for k in range(steps + 1):
            with torch.enable_grad():
                point = point.detach().requires_grad_()
                margin = _margin(model(point), y)
                (gradient,) = torch.autograd.grad(margin.sum(), point)
            better = margin.detach() < best_margin
            best[better], best_margin[better] = point.detach()[better], margin.detach()[better]
            if k == steps or bool((best_margin < 0).all()):
                break
            direction = gradient / row_norm(gradient).clamp_min(1e-30)
            point = project(point.detach() - step * direction, origin, radius, box)
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


def _checked_radii(x: Tensor, radius: float | Tensor, steps: int, restarts: int, box: tuple[float, float]) -> Tensor:
    if steps < 0 or restarts < 1:
        raise ValueError(f"steps={steps}, restarts={restarts} of an attack must be at least 0 and at least 1")
    if bool((x < box[0]).any() | (x > box[1]).any()):
        raise ValueError(f"x has pixels outside box={box}; attack samples in the units that the model was given")
    radii = torch.as_tensor(radius, dtype=x.dtype, device=x.device).expand(len(x))
    if not bool((radii >= 0).all()):
        raise ValueError(f"radius={radius} of an attack must be at least 0")
    return radii.reshape(-1, *[1] * (x.dim() - 1))
