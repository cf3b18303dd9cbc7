"""The names by which numbers of runs are asked for, and what is good of each."""

from __future__ import annotations

import re
from collections.abc import Iterable

from onelip.experiments.config_section import from_fraction
from onelip.experiments.errors import UserError
from onelip.experiments.evaluation import radius_key
from onelip.experiments.tables.grid import PERCENT, Goal, Unit
from onelip.linalg import unknown_name

_SHARES = re.compile(r"(.*accuracy|certified@.*|attacked.*@.*|relaxed@.*|never_changed-.*)")
_SMALL = re.compile(r"(.*seconds.*|.*loss.*|.*frechet.*|.*memory.*|n_parameters.*|standard_error)")


def known_value(name: str, known: Iterable[str]) -> str:
    """Find the stored name of a number.

    Args:
        name: As users write it, such as "certified@36/255".
        known: The names of the numbers that there are.

    Returns:
        The stored name, such as "certified@0.141176".

    Raises:
        UserError: If no run has it.
    """
    names = set(known)
    kind, at, radius = name.strip().partition("@")
    stored = f"{kind}@{_radius(radius)}" if at else kind
    if stored in names:
        return stored
    there = sorted((one for one in names if one.partition("@")[0] == kind), key=_as_number)
    if there:
        raise UserError(f"value={name!r} is of no run; there are {', '.join(there)}")
    raise UserError(unknown_name("value", kind, {one.partition("@")[0] for one in names}))


def goal_of(name: str) -> Goal:
    """Say what is good of a number.

    Args:
        name: Its stored name.

    Returns:
        "max", "min", or "" where neither is.
    """
    if _SHARES.fullmatch(name) or name == "lower_bound":
        return "max"
    return "min" if _SMALL.fullmatch(name) else ""


def unit_of(name: str) -> Unit:
    """Say how a number is written.

    Args:
        name: Its stored name.

    Returns:
        Percent for shares of images, else a plain number.
    """
    return PERCENT if _SHARES.fullmatch(name) else Unit()


def _as_number(name: str) -> float:
    try:
        return float(name.partition("@")[2])
    except ValueError:
        return 0.0


def _radius(text: str) -> str:
    value = from_fraction(text)
    try:
        return radius_key(float(value))
    except ValueError:
        return text
