"""Data sets by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from onelip.data.images import DataSet
from onelip.linalg import unknown_name

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called as `progress(done, total)` during long work, in bytes or files; `total` is None while unknown."""

Loader: TypeAlias = Callable[[Path | None, Progress | None], DataSet]


@dataclass(frozen=True)
class DataSetRecord:
    """What is known about a registered data set.

    Attributes:
        name: The name users type.
        loader: Called with (dir, progress).
        dir: Whether the location is "unused" (packed in the package), "optional" (else downloaded) or "required".
        summary: One line for lists.
    """

    name: str
    loader: Loader
    dir: Literal["unused", "optional", "required"]
    summary: str


_RECORDS: dict[str, DataSetRecord] = {}


def register_dataset(name: str, *, dir: Literal["unused", "optional", "required"]) -> Callable[[Loader], Loader]:
    """Register a loader of a data set; its docstring's first line becomes the summary.

    Args:
        name: The name users type.
        dir: Whether the loader's location is "unused", "optional" or "required".

    Returns:
        A decorator that leaves the loader as it is.
    """

    def register(loader: Loader) -> Loader:
        if name in _RECORDS:
            raise ValueError(f"data set {name!r} is registered already; choose another name")
        summary = (inspect.getdoc(loader) or "").partition("\n")[0]
        if not summary:
            raise ValueError(f"the loader of data set {name!r} has no docstring; its first line is the summary")
        _RECORDS[name] = DataSetRecord(name, loader, dir, summary)
        return loader

    return register


def available() -> dict[str, DataSetRecord]:
    """List the registered data sets.

    Returns:
        Record by name, sorted by name.
    """
    return dict(sorted(_RECORDS.items()))


def load(name: str, dir: str | Path | None = None, progress: Progress | None = None) -> DataSet:
    """Load a data set into memory.

    Args:
        name: A name from `available()`.
        dir: Where its files are; which file or folder is said by the data set's loader. Without it, a data set that
            has a public home is downloaded once, verified and kept in the user's cache folder.
        progress: Called as `progress(done, total)` while files are fetched or read.

    Returns:
        The data set, on the CPU.

    Raises:
        ValueError: The name is unknown, or `dir` is missing or makes no difference.
        DataError: The files are missing, broken or not what they should be, or the download failed.
    """
    if name not in _RECORDS:
        raise ValueError(unknown_name("data set", name, _RECORDS))
    record = _RECORDS[name]
    if record.dir == "unused" and dir is not None:
        raise ValueError(
            f"dir={str(dir)!r} has no effect on data set {name!r}, which is packed in onelip; leave it out"
        )
    if record.dir == "required" and dir is None:
        raise ValueError(f"dir=None for data set {name!r}; say where its files are")
    return record.loader(None if dir is None else Path(dir).expanduser(), progress)
