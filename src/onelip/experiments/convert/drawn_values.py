"""The random tags of settings files, as distributions of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onelip.experiments.convert.conversion import Drawn
from onelip.experiments.convert.marked import Marked

RANDOM = ("choice", "randint", "randfloat", "randlog10")
"""Tags of values that are drawn."""


def has_random(marked: Marked) -> bool:
    """Is something in a value drawn?

    Args:
        marked: The value.

    Returns:
        The answer.
    """
    if marked.tag in RANDOM:
        return True
    items = marked.value.values() if isinstance(marked.value, dict) else marked.value
    return isinstance(marked.value, dict | list) and any(has_random(item) for item in items)


def number_or_drawn(marked: Marked, key: str) -> Any:
    """Read a number, or what it is drawn from.

    Args:
        marked: The value.
        key: Its name, for messages.

    Returns:
        The number as a float, or a `Drawn`.

    Raises:
        UserError: If it is neither.
    """
    if marked.tag == "choice":
        return choice(marked, lambda item: float(item.number(key)))
    if marked.tag not in RANDOM:
        return float(marked.number(key))
    low, high = _ends(marked, key)
    if marked.tag == "randint":
        return Drawn("randint", (int(low), int(high)))
    if marked.tag == "randlog10":
        return Drawn("loguniform", (_power(low), _power(high)))
    return Drawn("uniform", (low, high))


def choice(marked: Marked, convert: Callable[[Marked], Any]) -> Any:
    """Convert a value, or each of those that it is chosen from.

    Args:
        marked: The value.
        convert: Converts one.

    Returns:
        What that gives, or a `Drawn`; the value itself if all are the same here.

    Raises:
        UserError: If it is drawn otherwise, or from nothing.
    """
    if marked.tag != "choice":
        if has_random(marked):
            raise marked.refuse(f"{marked.shown()} is no name; draw it by !choice")
        return convert(marked)
    if not isinstance(marked.value, list) or not marked.value:
        raise marked.refuse(f"{marked.shown()} must have a list of values to choose from")
    items: list[Any] = []
    for item in marked.value:
        converted = convert(item)
        if converted not in items:
            items.append(converted)
    return items[0] if len(items) == 1 else Drawn("choice", tuple(items))


def _ends(marked: Marked, key: str) -> tuple[float, float]:
    if not isinstance(marked.value, list) or len(marked.value) != 2:
        raise marked.refuse(f"{key}={marked.shown()} must have two numbers")
    low, high = (float(item.number(key)) for item in marked.value)
    if low >= high:
        raise marked.refuse(f"{key}={marked.shown()} must rise")
    return low, high


# 10 ** -4.0 is 0.0001; the digits of others are cut where nobody reads them.
def _power(exponent: float) -> float:
    return float(f"{10**exponent:.6g}")
