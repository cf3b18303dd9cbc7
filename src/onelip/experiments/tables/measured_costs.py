"""Measurements of costs, for tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Costs(Protocol):
    """A row of `onelip bench measure`; numbers are None where they were not measured."""

    @property
    def machine(self) -> str:
        """Where."""

    @property
    def device(self) -> str:
        """On what."""

    @property
    def model(self) -> str:
        """Name of the network."""

    @property
    def method(self) -> str:
        """Name of its layers; "plain" for ordinary ones."""

    @property
    def batch(self) -> int:
        """Images in a batch."""


def read_costs(file: str) -> tuple[Sequence[Costs], Mapping[str, float]]:
    """Read what `onelip bench measure` or `onelip bench budget` wrote.

    Args:
        file: A table of measurements, or a file of budgets, which ends in .yaml.

    Returns:
        The measurements, and the seconds of an epoch by configuration; one of the two is empty. Of several machines
        with the same configuration, the last in the file counts.
    """
    if Path(file).suffix in (".yaml", ".yml"):
        return [], _seconds(file)
    from onelip.experiments.bench.measurements import read_measurements

    return read_measurements(file), {}


def _seconds(file: str) -> dict[str, float]:
    from onelip.experiments.bench.budgets import read_budgets
    from onelip.experiments.errors import UserError

    if not Path(file).is_file():
        raise UserError(f"{file}: there are no budgets; make some with: onelip bench budget --out {file}")
    found: dict[str, float] = {}
    for rows in read_budgets(file).values():
        for configuration, row in rows.items():
            seconds = row.get("seconds_per_epoch")
            if isinstance(seconds, (int, float)):
                # Its changes follow the name.
                found[configuration.partition(" ")[0]] = float(seconds)
    return found
