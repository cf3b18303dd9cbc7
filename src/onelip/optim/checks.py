"""Checks of the arguments of optimisers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onelip.linalg import unknown_name


def check_positive(owner: str, *, zero: bool = False, **values: float) -> None:
    """Refuse numbers that are not positive.

    Args:
        owner: Class that the user called.
        zero: Is zero allowed?
        **values: By argument.

    Raises:
        ValueError: If one is negative, infinite or not a number.
    """
    for name, value in values.items():
        if not (value >= 0 if zero else value > 0) or value == float("inf"):
            raise ValueError(f"{name}={value!r} in {owner} must be {'at least 0' if zero else 'positive'} and finite")


def check_count(owner: str, **values: Any) -> None:
    """Refuse what is no positive integer.

    Args:
        owner: Class that the user called.
        **values: By argument.

    Raises:
        ValueError: If one is something else.
    """
    for name, value in values.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name}={value!r} in {owner} must be a positive integer")


def check_betas(owner: str, betas: Iterable[float]) -> None:
    """Refuse decays that are not in [0, 1).

    Args:
        owner: Class that the user called.
        betas: Decays of running means.

    Raises:
        ValueError: If one is out of range.
    """
    if not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas={betas!r} in {owner} must be at least 0 and below 1")


def check_choice(owner: str, name: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse an unknown name.

    Args:
        owner: Class that the user called.
        name: The argument.
        value: Its value.
        allowed: What it may be.

    Raises:
        ValueError: If it is none of these; the message has the nearest.
    """
    if value not in (allowed := tuple(allowed)):
        raise ValueError(f"{name}={value!r} in {owner}: {unknown_name(name, str(value), allowed)}")
