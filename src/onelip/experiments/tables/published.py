"""Numbers that papers state, from the files of the package; none of them was measured with this library."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

_OF_A_NUMBER = ("value", "deviation", "unit", "source")


@dataclass(frozen=True)
class Published:
    """A published number.

    Attributes:
        text: As it is printed; empty where the paper has a dash.
        deviation: As printed; empty if none is.
        unit: In words.
        source: Paper and table.
    """

    text: str
    deviation: str
    unit: str
    source: str

    @property
    def value(self) -> float | None:
        """The number; None for a dash or a formula."""
        return _number(self.text)

    @property
    def spread(self) -> float | None:
        """The deviation as a number; None if none is stated."""
        return _number(self.deviation)


def records(file: str) -> list[dict[str, str]]:
    """Read a file of published numbers.

    Args:
        file: Its name, without the ending.

    Returns:
        Its rows.
    """
    source = resources.files("onelip.experiments.tables").joinpath("published", f"{file}.csv")
    return list(csv.DictReader(source.read_text("utf-8").splitlines()))


def published(file: str, /, **key: str) -> Published | None:
    """Look a published number up.

    Args:
        file: Name of the file, without the ending.
        key: What it is of; columns that are left out are empty.

    Returns:
        The number, or None.
    """
    columns, found = _index(file)
    return found.get(tuple(key.get(column, "") for column in columns))


@functools.cache
def _index(file: str) -> tuple[Sequence[str], Mapping[tuple[str, ...], Published]]:
    rows = records(file)
    columns = tuple(column for column in rows[0] if column not in _OF_A_NUMBER)
    found = {tuple(row[c] for c in columns): Published(*(row[name] for name in _OF_A_NUMBER)) for row in rows}
    return columns, found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
