"""Distributions in place of values: `!choice`, `!randint`, `!uniform` and `!loguniform` in YAML.

They are drawn by `onelip sweep`; what a draw gives depends on the text that seeds it alone, on every machine.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Value = Any
Label = str | int | float | bool | None
"""What a study stores for a value: itself, or its JSON text if it is a list or a mapping."""


@dataclass(frozen=True)
class Choice:
    """One of the given values, each as likely as the others.

    Attributes:
        options: Any values, different from each other.
    """

    tag: ClassVar[str] = "!choice"
    options: tuple[Value, ...]

    @property
    def items(self) -> list[Value]:
        """The list behind the tag."""
        return list(self.options)

    def draw(self, rng: random.Random) -> Value:
        """Draw a value.

        Args:
            rng: Where randomness comes from.

        Returns:
            One of the options.
        """
        return self.options[rng.randrange(len(self.options))]

    def grid(self, points: int | None) -> tuple[Value, ...]:
        """List all values.

        Args:
            points: Not needed: there are finitely many.

        Returns:
            The options.
        """
        del points
        return self.options

    def label(self, value: Value) -> Label:
        """Write a value as a study stores it.

        Args:
            value: One of the options.

        Returns:
            It, or its JSON text.
        """
        scalar = value is None or isinstance(value, str | int | float | bool)
        return value if scalar else json.dumps(value)

    def value(self, label: Label) -> Value:
        """Read a value back.

        Args:
            label: What `label` gave.

        Returns:
            The option.
        """
        return next(option for option in self.options if self.label(option) == label)


@dataclass(frozen=True)
class _Range:
    low: float
    high: float

    @property
    def items(self) -> list[Value]:
        """The list behind the tag."""
        return [self.low, self.high]

    def label(self, value: Value) -> Label:
        """Write a value as a study stores it.

        Args:
            value: A number of the range.

        Returns:
            The number.
        """
        return value

    def value(self, label: Label) -> Value:
        """Read a value back.

        Args:
            label: What `label` gave.

        Returns:
            The number.
        """
        return label


@dataclass(frozen=True)
class RandInt(_Range):
    """A whole number from `low` to `high`, both included, each as likely as the others."""

    tag: ClassVar[str] = "!randint"
    low: int
    high: int

    def draw(self, rng: random.Random) -> int:
        """Draw a number.

        Args:
            rng: Where randomness comes from.

        Returns:
            The number.
        """
        return rng.randint(self.low, self.high)

    def grid(self, points: int | None) -> tuple[int, ...]:
        """List all numbers, or some, evenly spread.

        Args:
            points: How many at most; None for all.

        Returns:
            The numbers, rising.
        """
        n = self.high - self.low + 1
        if points is None or points >= n:
            return tuple(range(self.low, self.high + 1))
        return tuple(dict.fromkeys(round(x) for x in _evenly(self.low, self.high, points)))


@dataclass(frozen=True)
class Uniform(_Range):
    """A number between `low` and `high`."""

    tag: ClassVar[str] = "!uniform"

    def draw(self, rng: random.Random) -> float:
        """Draw a number.

        Args:
            rng: Where randomness comes from.

        Returns:
            The number.
        """
        return rng.uniform(self.low, self.high)

    def grid(self, points: int | None) -> tuple[float, ...] | None:
        """List numbers, evenly spread.

        Args:
            points: How many; None gives None, since there are infinitely many.

        Returns:
            The numbers, rising, both ends included.
        """
        return None if points is None else _evenly(self.low, self.high, points)


@dataclass(frozen=True)
class LogUniform(_Range):
    """A number between `low` and `high`, both positive, whose logarithm is uniform."""

    tag: ClassVar[str] = "!loguniform"

    def draw(self, rng: random.Random) -> float:
        """Draw a number.

        Args:
            rng: Where randomness comes from.

        Returns:
            The number.
        """
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)

    def grid(self, points: int | None) -> tuple[float, ...] | None:
        """List numbers whose logarithms are evenly spread.

        Args:
            points: How many; None gives None, since there are infinitely many.

        Returns:
            The numbers, rising, both ends included.
        """
        if points is None:
            return None
        inner = (math.exp(x) for x in _evenly(math.log(self.low), math.log(self.high), points)[1:-1])
        return (self.low, *inner, self.high)[:points]


Distribution = Choice | RandInt | Uniform | LogUniform

_RANGES: dict[str, type[RandInt | Uniform | LogUniform]] = {k.tag: k for k in (RandInt, Uniform, LogUniform)}

TAGS = (Choice.tag, *_RANGES)
"""What may stand in YAML."""

_MOST = 2**53
"""Studies keep numbers as floats."""


def read_distribution(tag: str, items: Sequence[Value]) -> Distribution:
    """Make the distribution that a tag and the list behind it say.

    Args:
        tag: One of `TAGS`.
        items: The list.

    Returns:
        The distribution.

    Raises:
        ValueError: The list does not fit.
    """
    shown = f"{tag} {list(items)}"
    if tag == Choice.tag:
        return _read_choice(items, shown)
    types = (int,) if tag == RandInt.tag else (int, float)
    if len(items) != 2 or any(type(item) not in types for item in items):
        what = "whole numbers" if tag == RandInt.tag else "numbers"
        raise ValueError(f"{shown} must have two {what}, [low, high]")
    low, high = items
    if not low < high or not all(-math.inf < item < math.inf for item in items):
        raise ValueError(f"{shown} must have low < high, both finite")
    if tag == LogUniform.tag and low <= 0:
        raise ValueError(f"{shown} must have 0 < low")
    if tag == RandInt.tag and max(-low, high) > _MOST:
        raise ValueError(f"{shown} must be within -2^53 and 2^53, which studies keep exactly")
    return _RANGES[tag](low, high)


def distributions_in(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Distribution]]:
    """Find the distributions of a configuration.

    Args:
        tree: Mappings, lists, scalars and distributions.
        prefix: What the paths begin with.

    Yields:
        Path such as "optimizer.lr", and distribution.

    Raises:
        ValueError: One is inside of a list.
    """
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from distributions_in(value, f"{prefix}{key}.")
        elif isinstance(value, Distribution):
            yield f"{prefix}{key}", value
        elif (inside := _inside(value)) is not None:
            raise ValueError(f"{prefix}{key} has {inside.tag} inside of a list; draw the whole list by !choice")


def _read_choice(items: Sequence[Value], shown: str) -> Choice:
    inside = _inside(list(items))
    if inside is not None:
        raise ValueError(f"!choice has {inside.tag} inside of it; a distribution has plain values")
    choice = Choice(tuple(items))
    try:
        # As they are stored, and told apart again: 1, 1.0 and true are one value there.
        labels = [choice.label(item) for item in items if json.dumps(item, allow_nan=False)]
    except (TypeError, ValueError):
        raise ValueError(f"{shown} must have texts, finite numbers, true, false, null, or lists of these") from None
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"{shown} must be a list of at least one value, all different")
    return choice


def _inside(value: Value) -> Distribution | None:
    if isinstance(value, Distribution):
        return value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return next((found for part in parts if (found := _inside(part)) is not None), None)


def _evenly(low: float, high: float, points: int) -> tuple[float, ...]:
    if points == 1:
        return (low,)
    step = (high - low) / (points - 1)
    return (*(low + k * step for k in range(points - 1)), high)
