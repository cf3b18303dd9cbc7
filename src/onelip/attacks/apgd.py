"""Auto-PGD: projected gradient ascent with momentum that chooses its own step sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from onelip.attacks import objectives
from onelip.attacks.ball import Balls, Box, Norm, checked_balls, steepest
from onelip.attacks.objectives import CustomLoss, Loss, Objective
from onelip.attacks.pgd import FALLEN, check_counts, evaluating

MOMENTUM = 0.75
RISES = 0.75
"""Share of steps between two checkpoints that must raise the loss, or the step size is halved."""

_Places = tuple[Tensor, Balls, Tensor]
"""Numbers of samples, their balls and their labels."""

FIRST, LESS, LEAST = 0.22, 0.03, 0.06
"""Shares of the steps: the first period, how much shorter each next one is, and the shortest."""


def apgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    norm: Norm = "l2",
    loss: Loss | CustomLoss = "ce",
    n_targets: int = 9,
    steps: int = 100,
    restarts: int = 1,
    start: Tensor | None = None,
    box: Box = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Search the ball around each sample for one that the model gets wrong, without a step size to choose.

    With P the projection onto ball and box and s(g) the steepest step of length 1,
    z = P(x_k + eta s(grad f(x_k))), x_(k+1) = P(x_k + 0.75 (z - x_k) + 0.25 (x_k - x_(k-1))), eta = 2 radius at first.
    At the published checkpoints eta is halved, and the search goes on from the best point so far, if less than 75 % of
    the steps since the last checkpoint raised f, or if neither eta nor the best f has changed since then. The first
    restart begins at the sample or at `start`, the others uniformly in the ball; with loss="targeted-dlr" each of them
    runs once for each of the `n_targets` other classes with the largest logits at the sample. Only samples that are
    still classified rightly go on.

    Args:
        model: Classifier of (N, ...) samples; runs in eval mode, its mode and gradients are left as they were.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        radius: Radius of the balls in the units of `x`, one for all or (N,).
        norm: Norm of the balls.
        loss: What is climbed, see `onelip.attacks.objectives.objective`, or a function of (N, K) logits and (N,) labels
            to (N,) values. Cross-entropy does not saturate here.
        n_targets: Target classes of "targeted-dlr", as many as there are at most.
        steps: Gradient steps of each run.
        restarts: How often to start, at least 1.
        start: (N, ...) points where the first restart begins, moved into the balls, such as those that another attack
            found; the samples by default.
        box: Least and largest pixel value; (-inf, inf) for none.
        generator: Source of randomness for the starts, or None for torch's own.

    Returns:
        (N, ...) samples within the radius and the box: adversarial where the search succeeded, else the one with the
        smallest margin.

    Raises:
        ValueError: If an argument is out of range, `x` leaves the box, or there are too few classes for the loss.

    Paper: Croce and Hein 2020, arXiv:2003.01690, algorithm 1.
    """
    check_counts(steps, restarts)
    if n_targets < 1:
        raise ValueError(f"n_targets={n_targets} of apgd must be at least 1")
    balls = checked_balls(x, radius, norm, box)
    x = balls.origin
    first = x if start is None else balls.project(start.detach().to(x))
    with evaluating(model):
        with torch.no_grad():
            logits = model(x)
        function = objectives.objective(loss, logits.shape[1])
        climber = _Climber(model, function)
        result = _Result(x.clone(), objectives.margin(logits, y))
        ranked = logits.scatter(1, y[:, None], -torch.inf).argsort(1, descending=True)
        runs = min(n_targets, logits.shape[1] - 1) if loss == "targeted-dlr" else 1
        for restart in range(restarts):
            for k in range(runs):
                index = torch.nonzero(~(result.margin < 0)).flatten()
                if len(index):
                    chosen = balls[index]
                    begin = chosen.random(generator) if restart else first[index]
                    _run(climber, result, (index, chosen, y[index]), begin, ranked[index, k], steps)
    return result.point


def checkpoints(steps: int) -> tuple[int, ...]:
    """List after how many steps the step size is looked at.

    w_j = ceil(p_j steps) with p_1 = 0.22 and p_(j+1) = p_j + max(p_j - p_(j-1) - 0.03, 0.06).

    Args:
        steps: Number of steps in all.

    Returns:
        Rising numbers up to `steps`.
    """
    before, share, numbers = 0.0, FIRST, []
    while share <= 1:
        numbers.append(math.ceil(share * steps - 1e-9))
        before, share = share, share + max(share - before - LESS, LEAST)
    return tuple(sorted({n for n in numbers if 0 < n <= steps}))


@dataclass(frozen=True, eq=False)
class _Result:
    """The point of the smallest margin for each sample so far; written in place."""

    point: Tensor
    margin: Tensor

    def note(self, s: _State) -> None:
        better = s.near_margin < self.margin[s.index]
        index = s.index[better]
        self.point[index], self.margin[index] = s.near_point[better], s.near_margin[better]


@dataclass(frozen=True, eq=False)
class _Climber:
    model: nn.Module
    function: Objective

    def look(self, point: Tensor, y: Tensor, target: Tensor, *, last: bool) -> tuple[Tensor, Tensor, Tensor]:
        # Value, gradient and margin at a point. The last point of a run needs no gradient.
        with torch.set_grad_enabled(not last):
            x = point.detach().requires_grad_(not last)
            logits = self.model(x)
        if last:
            return self.function(logits, y, target), point, objectives.margin(logits, y)
        slope = objectives.slope(self.function, logits, y, target)
        (gradient,) = torch.autograd.grad(logits, x, slope.gradient)
        return slope.value, gradient, slope.margin


@dataclass(frozen=True, eq=False)
class _State:
    """What a run knows of the samples that it is still at; every field has a leading axis of them."""

    index: Tensor
    balls: Balls
    y: Tensor
    target: Tensor
    step: Tensor
    point: Tensor
    previous: Tensor
    value: Tensor
    gradient: Tensor
    top_point: Tensor
    top_value: Tensor
    top_gradient: Tensor
    near_point: Tensor
    near_margin: Tensor
    rises: Tensor
    last_top: Tensor
    halved: Tensor

    def __getitem__(self, index: Tensor) -> _State:
        return _State(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def _run(climber: _Climber, result: _Result, places: _Places, start: Tensor, target: Tensor, steps: int) -> None:
    index, balls, y = places
    value, gradient, margin = climber.look(start, y, target, last=steps == 0)
    here, zeros = (start, value, gradient), torch.zeros_like(y)
    near = start, margin
    state = _State(
        index, balls, y, target, 2 * balls.radius, start, start, value, gradient, *here, *near, zeros, value, zeros > 0
    )
    last, looks = 0, checkpoints(steps)
    for k in range(1, steps + 1):
        state = _stepped(climber, state, MOMENTUM if k > 1 else 1.0, last=k == steps)
        right = ~(state.near_margin < 0)
        n_right = int(right.sum())
        if n_right == 0:
            break
        if k in looks:
            state = _adapted(state, k - last)
            last = k
        if n_right <= (1 - FALLEN) * len(right):
            result.note(state)
            state = state[right]
    result.note(state)


def _stepped(climber: _Climber, s: _State, momentum: float, *, last: bool) -> _State:
    ahead = s.balls.project(torch.addcmul(s.point, s.step, steepest(s.gradient, s.balls.norm)))
    point = ahead
    if momentum < 1:
        # x_k + m (z - x_k) + (1 - m) (x_k - x_(k-1)), in fewer passes.
        rest = 1 - momentum
        mixed = (momentum * ahead).add_(s.point, alpha=2 * rest).sub_(s.previous, alpha=rest)
        point = s.balls.project(mixed)
    value, gradient, margin = climber.look(point, s.y, s.target, last=last)
    higher, nearer = value > s.top_value, (margin < s.near_margin) & ~(s.near_margin < 0)
    column = higher.reshape(s.step.shape)
    return replace(
        s,
        point=point,
        previous=s.point,
        value=value,
        gradient=gradient,
        top_point=torch.where(column, point, s.top_point),
        top_value=torch.where(higher, value, s.top_value),
        top_gradient=torch.where(column, gradient, s.top_gradient),
        near_point=torch.where(nearer.reshape(s.step.shape), point, s.near_point),
        near_margin=torch.where(nearer, margin, s.near_margin),
        rises=s.rises + (value > s.value),
    )


def _adapted(s: _State, period: int) -> _State:
    # Where the values are not numbers nothing rises, and the search goes back to the last point where they were.
    stuck = (s.rises < RISES * period) | (~s.halved & (s.top_value == s.last_top))
    column = stuck.reshape(s.step.shape)
    return replace(
        s,
        step=torch.where(column, s.step / 2, s.step),
        point=torch.where(column, s.top_point, s.point),
        value=torch.where(stuck, s.top_value, s.value),
        gradient=torch.where(column, s.top_gradient, s.gradient),
        rises=torch.zeros_like(s.rises),
        last_top=s.top_value,
        halved=stuck,
    )
