"""Projected gradient descent in l2 and l-infinity balls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from onelip.attacks import objectives
from onelip.attacks.ball import Balls, Box, checked_balls, rescaled, row_sum, steepest
from onelip.attacks.objectives import CustomLoss, Loss

Start = tuple[Loss | CustomLoss, bool]
"""What a run climbs, and whether it begins at a random point of the ball rather than at the sample."""

FALLEN = 1 / 8
"""Share of the samples at work that have to be misclassified before they are left out."""


def l2_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float | None = None,
    random_start: bool = False,
    loss: Loss | CustomLoss | None = None,
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
        random_start: Begin the first restart in the ball, too, and climb the cross-entropy in it, as is usual.
        loss: What all restarts climb instead, see `onelip.attacks.objectives.objective`: "ce", "margin", "dlr", or a
            function of (N, K) logits and (N,) labels to (N,) values; by default the margin and "ce" in turn.
        box: Least and largest pixel value; (-inf, inf) for none.
        generator: Source of randomness for the starts, or None for torch's own.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If the radius is negative, a count is out of range, there is no such loss or `x` leaves the box.

    Paper: Madry et al. 2018, arXiv:1706.06083.
    """
    balls = checked_balls(x, radius, "l2", box)
    return search(model, balls, y, _starts(restarts, random_start, loss), steps, step_size, generator=generator)


def linf_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float | None = None,
    random_start: bool = False,
    loss: Loss | CustomLoss | None = None,
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
        random_start: Begin the first restart in the ball, too, and climb the cross-entropy in it, as is usual.
        loss: What all restarts climb instead, see `onelip.attacks.objectives.objective`: "ce", "margin", "dlr", or a
            function of (N, K) logits and (N,) labels to (N,) values; by default the margin and "ce" in turn.
        box: Least and largest pixel value; (-inf, inf) for none.
        generator: Source of randomness for the starts, or None for torch's own.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If the radius is negative, a count is out of range, there is no such loss or `x` leaves the box.

    Paper: Madry et al. 2018, arXiv:1706.06083.
    """
    balls = checked_balls(x, radius, "linf", box)
    return search(model, balls, y, _starts(restarts, random_start, loss), steps, step_size, generator=generator)


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


def _starts(restarts: int, random_start: bool, loss: Loss | CustomLoss | None) -> list[Start]:
    if loss == "targeted-dlr":
        raise ValueError("loss='targeted-dlr' needs target classes, which pgd has none of; use apgd, or loss='dlr'")
    first = 1 if random_start else 0
    usual: tuple[Loss, Loss] = ("margin", "ce")
    return [(usual[k % 2] if loss is None else loss, k > 0) for k in range(first, first + restarts)]


def search(
    model: nn.Module,
    balls: Balls,
    y: Tensor,
    starts: Sequence[Start],
    steps: int,
    step_size: float | Tensor | None = None,
    *,
    decay: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Climb in every ball from one start after the other, until the sample in it is misclassified.

    Args:
        model: Classifier; left as it was.
        balls: Where to search.
        y: (N,) labels.
        starts: The runs, at least one.
        steps: Gradient steps of each run.
        step_size: Length of a step, one for all or (N,); by default 2.5 radius / steps.
        decay: Of the momentum: steps follow g_k = decay g_(k-1) + grad f / |grad f|_1; None to follow the gradient.
        generator: Source of randomness for the starts, or None for torch's own.

    Returns:
        (N, ...) points of the smallest margin that was seen; samples that are misclassified stay.

    Raises:
        ValueError: If a count, the step size or the decay is out of range.
    """
    check_counts(steps, len(starts))
    lengths = _step_lengths(balls, steps, step_size)
    if decay is not None and not decay >= 0:
        raise ValueError(f"decay={decay} of an attack must be at least 0")
    best = balls.origin.clone()
    with evaluating(model):
        # A run that begins at the samples meets their own margins by itself.
        best_margin = margins(model, best, y) if starts[0][1] else torch.full_like(balls.radius.flatten(), torch.inf)
        for loss, random in starts:
            active = torch.nonzero(~(best_margin < 0)).flatten()
            if not len(active):
                break
            chosen = balls[active]
            start = chosen.random(generator) if random else chosen.origin
            found, margin = _climb(model, loss, chosen, start, y[active], lengths[active], steps, decay)
            better = margin < best_margin[active]
            best[active[better]], best_margin[active[better]] = found[better], margin[better]
    return best


def _step_lengths(balls: Balls, steps: int, step_size: float | Tensor | None) -> Tensor:
    if step_size is None:
        return balls.radius * 2.5 / max(steps, 1)
    lengths = torch.as_tensor(step_size, dtype=balls.origin.dtype, device=balls.origin.device)
    if not bool(((lengths >= 0) & lengths.isfinite()).all()):
        raise ValueError(f"step_size={step_size} of an attack must be at least 0 and finite")
    return lengths.expand(len(balls.origin)).reshape(balls.radius.shape)


def _climb(
    model: nn.Module,
    loss: Loss | CustomLoss,
    balls: Balls,
    start: Tensor,
    y: Tensor,
    step: Tensor,
    steps: int,
    decay: float | None,
) -> tuple[Tensor, Tensor]:
    found, margins_found = start.clone(), torch.full(y.shape, torch.inf, dtype=start.dtype, device=start.device)
    index, point, velocity = torch.arange(len(y), device=y.device), start, torch.zeros_like(start)
    best, best_margin, right = start.clone(), margins_found.clone(), margins_found > 0
    for k in range(steps + 1):
        margin, gradient = _looked(model, loss, point, y, k < steps)
        # A point that is misclassified stays as it was found.
        better = (margin < best_margin) & right
        torch.where(better.reshape(balls.radius.shape), point, best, out=best)
        best_margin = torch.where(better, margin, best_margin)
        right = best_margin >= 0
        n_right = int(right.sum())
        if k == steps or n_right <= (1 - FALLEN) * len(index):
            found[index], margins_found[index] = best, best_margin
            if k == steps or n_right == 0:
                break
            index, balls, point, y, step = index[right], balls[right], point[right], y[right], step[right]
            best, best_margin, gradient, velocity = best[right], best_margin[right], gradient[right], velocity[right]
            right = right[right]
        if decay is not None:
            gradient = rescaled(gradient)
            gradient = velocity = decay * velocity + gradient / row_sum(gradient).clamp_min(1)
        point = balls.project(torch.addcmul(point, step, steepest(gradient, balls.norm)))
    return found, margins_found


def _looked(
    model: nn.Module, loss: Loss | CustomLoss, point: Tensor, y: Tensor, climbing: bool
) -> tuple[Tensor, Tensor]:
    # Margins, and gradients of the loss while there is a step to come.
    if not climbing:
        with torch.no_grad():
            logits = model(point)
        objectives.objective(loss, logits.shape[1])
        return objectives.margin(logits, y), point
    with torch.enable_grad():
        x = point.detach().requires_grad_()
        logits = model(x)
    slope = objectives.slope(objectives.objective(loss, logits.shape[1]), logits, y, y)
    (gradient,) = torch.autograd.grad(logits, x, slope.gradient)
    return slope.margin, gradient


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
