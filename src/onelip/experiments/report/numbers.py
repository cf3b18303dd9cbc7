"""Numbers as text that never claims more than was proved: bounds are rounded up, guarantees down."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

MISSING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


def upper_text(value: float, decimals: int = 7) -> str:
    """Write an upper bound, rounded up.

    Args:
        value: The bound, such as a Lipschitz constant.
        decimals: Digits after the point.

    Returns:
        A decimal number that is not below `value`.
    """
    if not math.isfinite(value):
        return str(value)
    if value >= 1e6:
        return f"{Decimal(value).quantize(Decimal(1), ROUND_CEILING):,}"
    return str(Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_CEILING))


def lower_text(value: float, decimals: int = 3) -> str:
    """Write a lower bound, rounded down.

    Args:
        value: The bound, such as a certified radius.
        decimals: Digits after the point.

    Returns:
        A decimal number that is not above `value`.
    """
    if not math.isfinite(value):
        return str(value)
    return str(Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR))


def share_text(share: float | None, *, guaranteed: bool = False) -> str:
    """Write a share of samples in per cent.

    Args:
        share: In [0, 1]; None if it is unknown.
        guaranteed: Round down instead of to the nearest.

    Returns:
        Such as "93.05 %", with a space that does not break.
    """
    if share is None or not math.isfinite(share):
        return MISSING
    # The shortest decimal of a share k / n, so that 0.29 is not floored to 28.99 %.
    mode = ROUND_FLOOR if guaranteed else ROUND_HALF_EVEN
    return f"{(Decimal(repr(float(share))) * 100).quantize(Decimal('0.01'), mode)}{NARROW_SPACE}%"


def plain_text(value: float) -> str:
    """Write a number that claims nothing, such as a radius or a learning rate.

    Args:
        value: Any number.

    Returns:
        At most four significant digits.
    """
    return f"{value:.4g}"


def duration_text(seconds: float | None) -> str:
    """Write a duration.

    Args:
        seconds: Its length; None if it is unknown.

    Returns:
        Such as "4.2 s", "3 min 05 s" or "2 h 07 min".
    """
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shape_text(shape: tuple[int, ...]) -> str:
    """Write the shape of one sample.

    Args:
        shape: Without the batch axis.

    Returns:
        Such as "3×32×32".
    """
    return TIMES.join(map(str, shape)) if shape else "scalar"
