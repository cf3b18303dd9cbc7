"""How the numbers of tables are written."""

from __future__ import annotations

import math

from onelip.experiments.tables.summary import Summary


def number_text(value: float, decimals: int | None) -> str:
    """Write a number.

    Args:
        value: Any finite one.
        decimals: Digits behind the point; None for four significant ones.

    Returns:
        Text that `float` reads.
    """
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    return f"{value:.4g}" if -4 <= exponent < 4 else (f"{value:.0f}" if 4 <= exponent < 7 else f"{value:.3e}")


def summary_text(summary: Summary, decimals: int | None, plus_minus: str = "±") -> str:
    """Write mean and deviation.

    Args:
        summary: Both.
        decimals: As for `number_text`.
        plus_minus: The sign between them.

    Returns:
        Such as "71.30 ± 0.12", or the mean alone of one run.
    """
    mean = number_text(summary.mean, decimals)
    if summary.deviation is None:
        return mean
    return f"{mean} {plus_minus} {number_text(summary.deviation, decimals)}"
