"""Mean and deviation over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """What several runs gave.

    Attributes:
        n: How many runs.
        mean: Their mean.
        deviation: The deviation of the sample, with n - 1; None for one run.
    """

    n: int
    mean: float
    deviation: float | None


def summarise(values: Sequence[float]) -> Summary:
    """Take mean and deviation.

    Args:
        values: One for each run, at least one.

    Returns:
        Both.

    Raises:
        ValueError: If there is no value.
    """
    n = len(values)
    if n == 0:
        raise ValueError("values in summarise is empty; a mean needs at least one")
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else None
    return Summary(n, mean, spread)
