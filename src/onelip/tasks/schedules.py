"""Learning-rate schedules: pure functions of the part of the training that is done, evaluated at each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Schedule = Callable[[float], float]
"""Maps progress in [0, 1) to the factor that multiplies the optimiser's learning rate."""


def constant() -> Schedule:
    """Keep the learning rate.

    Returns:
        The schedule that is always 1.
    """
    return lambda progress: 1.0


def one_cycle(*, warmup: float = 0.3, start: float = 0.04, end: float = 1e-4) -> Schedule:
    """Rise to the full rate and fall almost to zero, each along half a cosine.

    Args:
        warmup: Part of the training in which the rate rises, in [0, 1).
        start: Factor at the first step, in (0, 1].
        end: Factor that the last step approaches, in [0, 1].

    Returns:
        The schedule.

    Paper:
        Smith and Topin 2017, arXiv:1708.07120 (the form with two phases, without cycling the momentum).
    """
    _check_fraction("warmup", warmup)

    def factor(progress: float) -> float:
        if progress < warmup:
            return _half_cosine(start, 1.0, progress / warmup)
        return _half_cosine(1.0, end, (progress - warmup) / (1.0 - warmup))

    return factor


def cosine(*, end: float = 0.0) -> Schedule:
    """Fall from the full rate along half a cosine.

    Args:
        end: Factor that the last step approaches, in [0, 1].

    Returns:
        The schedule.

    Paper:
        Loshchilov and Hutter 2016, arXiv:1608.03983.
    """
    return lambda progress: _half_cosine(1.0, end, progress)


def step(*, milestones: Sequence[float] = (0.5, 0.75), factor: float = 0.1) -> Schedule:
    """Multiply the rate by a factor at each milestone.

    Args:
        milestones: Parts of the training after which the rate drops, each in [0, 1).
        factor: What each drop multiplies the rate by.

    Returns:
        The schedule.
    """
    for milestone in milestones:
        _check_fraction("milestones", milestone)
    return lambda progress: factor ** sum(progress >= milestone for milestone in milestones)


def exponential(*, end: float = 1e-3) -> Schedule:
    """Fall by the same factor with each step: `end^progress`.

    A rate that is multiplied by g after each of n epochs ends at `g^n`.

    Args:
        end: Factor that the last step approaches, in (0, 1].

    Returns:
        The schedule.

    Raises:
        ValueError: The factor is out of range.
    """
    if not 0.0 < end <= 1.0:
        raise ValueError(f"end={end} of an exponential schedule must be in (0, 1]")
    return lambda progress: end**progress


def _half_cosine(first: float, last: float, position: float) -> float:
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * min(position, 1.0)))


def _check_fraction(argument: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{argument}={value} must be a part of the training, at least 0 and below 1")


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "one-cycle": one_cycle,
    "step": step,
}
