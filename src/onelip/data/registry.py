"""Data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from onelip.data.images import DataSet
from onelip.registry import Registry

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called as `progress(done, total)` during long work, in bytes or files; `total` is None while unknown."""

Location: TypeAlias = Literal["unused", "optional", "required"]

Loader: TypeAlias = Callable[..., DataSet]
"""Called as `loader(dir, progress, **options)`."""


@dataclass(frozen=True)
class Extent:
    """How large a data set is, where that is known before its files are read.

    Attributes:
        shape: `(C, H, W)` of one image.
        n_classes: Number of classes.
        n_train: Training images.
        n_test: Test images.
    """

    shape: tuple[int, int, int]
    n_classes: int
    n_train: int
    n_test: int


@dataclass(frozen=True)
class DataSetRecord:
    """What is known about a registered data set.

    Attributes:
        name: The name users type.
        loader: Called with (dir, progress) and its options.
        dir: Whether the location is "unused" (packed in the package), "optional" (else downloaded) or "required".
        summary: One line for lists.
        options: Names of the loader's keyword arguments that users may set.
        kept: Files that a download leaves, as paths from the cache folder.
        extent: How large it is without options; None where the files say.
    """

    name: str
    loader: Loader
    dir: Location
    summary: str
    options: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    extent: Extent | None = None


_REGISTRY: Registry[DataSet] = Registry("data set", supplied=("dir", "progress"))
_LOCATIONS: dict[str, tuple[Location, tuple[str, ...], Extent | None]] = {}


def register_dataset(
    name: str, *, dir: Location, kept: tuple[str, ...] = (), extent: Extent | None = None
) -> Callable[[Loader], Loader]:
    """Register a loader of a data set; its docstring's first line becomes the summary.

    Arguments of the loader after (dir, progress) are options that users may set.

    Args:
        name: The name users type.
        dir: Whether the loader's location is "unused", "optional" or "required".
        kept: Files that a download leaves, as paths from the cache folder.
        extent: How large it is without options; None where the files say.

    Returns:
        A decorator that leaves the loader as it is.
    """
    enter = _REGISTRY.register(name)

    def register(loader: Loader) -> Loader:
        entered = enter(loader)
        _LOCATIONS[name] = dir, kept, extent
        return entered

    return register


def available() -> dict[str, DataSetRecord]:
    """List the registered data sets.

    Returns:
        Record by name, sorted by name.
    """
    return {name: _record(name, {}) for name in _REGISTRY.available()}


def load(name: str, dir: str | Path | None = None, progress: Progress | None = None, **options: Any) -> DataSet:
    """Load a data set into memory, or find its files if it is one that is streamed from disk.

    Args:
        name: A name from `available()`.
        dir: Where its files are; which file or folder is said by the data set's loader. Without it, a data set that
            has a public home is downloaded once, verified and kept in the user's cache folder.
        progress: Called as `progress(done, total)` while files are fetched or read.
        **options: Keyword arguments of the data set's loader, such as `size` of those that are streamed.

    Returns:
        The data set, on the CPU.

    Raises:
        ValueError: The name or an option is unknown, an option is out of range, or `dir` is missing or makes no
            difference.
        DataError: The files are missing, broken or not what they should be, or the download failed.
    """
    record = _record(name, options)
    if record.dir == "unused" and dir is not None:
        raise ValueError(
            f"dir={str(dir)!r} has no effect on data set {name!r}, which is packed in onelip; leave it out"
        )
    if record.dir == "required" and dir is None:
        raise ValueError(f"dir=None for data set {name!r}; say where its files are")
    return record.loader(None if dir is None else Path(dir).expanduser(), progress, **options)


def _record(name: str, options: dict[str, Any]) -> DataSetRecord:
    part = _REGISTRY.part(name, options)
    return DataSetRecord(name, part.factory, _LOCATIONS[name][0], part.summary, part.options, *_LOCATIONS[name][1:])
