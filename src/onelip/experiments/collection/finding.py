"""Where the folders of runs are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from onelip.experiments.errors import UserError, describe_os_error

CONFIG, TRIAL = "config.yaml", "trial.json"
"""What the folder of a run has, or that of a trial which ended before it had a configuration."""


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """Find all folders of runs at or below some folders.

    What is inside of a run is not looked at, nor are hidden folders and links to folders.

    Args:
        paths: Where to look.

    Returns:
        Each folder once, sorted.

    Raises:
        UserError: If a path is no folder or cannot be read, or there is no run.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise UserError(f"{path} is no folder; give folders of runs, or folders that hold some")
        try:
            found |= {os.path.realpath(run): Path(run) for run in _below(str(path))}
        except OSError as error:
            raise UserError(describe_os_error(error)) from error
    if not found:
        names = ", ".join(map(str, paths)) or "no folder"
        raise UserError(f"there is no run in {names}; a run is a folder with a {CONFIG}, as onelip train makes it")
    return sorted(found.values())


def _below(folder: str) -> Iterator[str]:
    with os.scandir(folder) as listed:
        entries = list(listed)
    if any(entry.name in (CONFIG, TRIAL) for entry in entries):
        yield folder
        return
    for entry in entries:
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
