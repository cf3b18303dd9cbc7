"""Times of something that is done again and again."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from onelip.experiments.bench.stopwatch import synchronised

_WARM_UP = 1


@dataclass(frozen=True)
class Timing:
    """How long something takes.

    Attributes:
        median: Seconds.
        iqr: The distance between the quartiles, in seconds; None of fewer than four times.
    """

    median: float
    iqr: float | None


def time_it(run: Callable[[], object], device: torch.device, *, repeats: int, seconds: float) -> Timing:
    """Time a function that has run before.

    Args:
        run: The function.
        device: Where it computes.
        repeats: How often it is timed, after one time that does not count.
        seconds: It is not begun again after that time.

    Returns:
        The median and the spread; of the first time if there was no other.
    """
    times: list[float] = []
    begin = last = synchronised(device)
    while not times or (len(times) < _WARM_UP + repeats and last - begin < seconds):
        run()
        before, last = last, synchronised(device)
        times.append(last - before)
    return summary(times[_WARM_UP:] or times[-1:])


def summary(times: list[float]) -> Timing:
    """Summarise times.

    Args:
        times: Seconds, at least one.

    Returns:
        The median and the spread.
    """
    quartiles = statistics.quantiles(times, n=4, method="inclusive") if len(times) >= 4 else None
    return Timing(statistics.median(times), None if quartiles is None else quartiles[2] - quartiles[0])
