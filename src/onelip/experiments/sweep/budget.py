"""Budgets in time as numbers of epochs: measured once for each cell, where it trains, so that its trials are alike."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onelip.experiments.bench.epoch_time import EpochTime, measure_epoch
from onelip.experiments.config_common import RunConfig, SampledConfig
from onelip.experiments.errors import UserError
from onelip.experiments.evaluation import read_json
from onelip.experiments.file_lock import locked
from onelip.experiments.files import write_json_atomically
from onelip.experiments.sweep.files import SweepFolder
from onelip.experiments.sweep.spec import Cell


def within_budget(config: RunConfig, budget: float, folder: SweepFolder, cell: Cell) -> list[tuple[str, Any]]:
    """Say how long a trial may train.

    Whoever needs it first measures; the others wait for that, and take it over.

    Args:
        config: Configuration of the trial.
        budget: Seconds.
        folder: The sweep's, which keeps what was measured.
        cell: The trial's cell.

    Returns:
        Changes of the configuration: the epochs, or steps, that fit into that time.

    Raises:
        UserError: Not even one fits.
    """
    file = budget_file(folder, cell)
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file):
        if not file.exists():
            write_json_atomically(file, {"cell": str(cell), **asdict(measure_epoch(config))})
    measured = dict(read_json(file))
    measured.pop("cell")
    try:
        n_epochs = EpochTime(**measured).epochs_within(budget)
    except ValueError as error:
        raise UserError(f"{cell}: {error}") from None
    if isinstance(config, SampledConfig):
        # What counts as an epoch there is the way from one checkpoint to the next.
        return [("trainer.max_steps", n_epochs * int(measured["steps_per_epoch"]))]
    return [("trainer.max_epochs", n_epochs), ("trainer.max_minutes", None)]


def budget_file(folder: SweepFolder, cell: Cell) -> Path:
    """Find where the measurement of a cell is kept.

    Args:
        folder: The sweep's.
        cell: The cell; its seed plays no part.

    Returns:
        The file.
    """
    return folder.budgets / f"{hashlib.sha256(cell.key.encode()).hexdigest()[:16]}.json"
