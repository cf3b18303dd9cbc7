"""The binary layout that CIFAR-10 and CIFAR-100 share."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data.download import cache_folder, download, extract
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.registry import Progress

_SIDE = 32


@dataclass(frozen=True)
class CIFARFiles:
    """Where a data set in this layout is at home, and what its files hold.

    A record is `n_labels` bytes of labels, then 1024 bytes each of red, green and blue, row by row; the class is the
    last of the labels.

    Attributes:
        name: Registered name.
        title: The name in print.
        url: Address of the archive.
        sha256: Its digest.
        folder: The folder in it.
        n_records: Number of records of each file, by name; the last one has the test images.
        n_labels: Labels of a record.
        classes: Class names.
    """

    name: str
    title: str
    url: str
    sha256: str
    folder: str
    n_records: dict[str, int]
    n_labels: int
    classes: tuple[str, ...]

    @property
    def record_bytes(self) -> int:
        """Length of a record."""
        return self.n_labels + 3 * _SIDE**2


def load_cifar(files: CIFARFiles, dir: Path | None, progress: Progress | None) -> DataSet:
    """Read a data set in this layout, from a folder or downloaded once.

    Args:
        files: Which.
        dir: The folder with the files, or the one that holds the archive's folder; None to download.
        progress: Called as `progress(done, total)` in bytes, of the download if there is one, else of the files.

    Returns:
        The data set, images `(N, 3, 32, 32)` uint8 with scale 255.

    Raises:
        DataError: A file is missing, truncated or not of this format, or the download failed.
    """
    if dir is None:
        home = cache_folder() / files.folder
        if not home.is_dir():
            _fetch(files, home, progress)
            progress = None
    else:
        home = _find(files, dir)
    n_images = sum(files.n_records.values())
    images, labels = np.empty((n_images, 3, _SIDE, _SIDE), np.uint8), np.empty(n_images, np.int64)
    done = 0
    for name, n_records in files.n_records.items():
        records = _records(files, home / name, n_records)
        rows = slice(done, done + n_records)
        images[rows] = records[:, files.n_labels :].reshape(-1, 3, _SIDE, _SIDE)
        labels[rows] = records[:, files.n_labels - 1]
        done += n_records
        if progress is not None:
            progress(done * files.record_bytes, n_images * files.record_bytes)
    n_train = n_images - list(files.n_records.values())[-1]
    train, test = (
        ImageData(torch.from_numpy(images[rows]), torch.from_numpy(labels[rows]), 255.0)
        for rows in (slice(0, n_train), slice(n_train, None))
    )
    return DataSet(files.name, train, test, files.classes, f"{files.title}, Krizhevsky 2009, {files.url}")


def _fetch(files: CIFARFiles, home: Path, progress: Progress | None) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{files.name}.", dir=home.parent) as folder:
        archive = Path(folder) / files.url.rpartition("/")[2]
        download(files.url, archive, files.sha256, progress)
        extract(archive, [f"{files.folder}/{name}" for name in files.n_records], home)


def _find(files: CIFARFiles, dir: Path) -> Path:
    first = next(iter(files.n_records))
    if not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; {files.name} needs one with {first} and the others")
    inner = dir / files.folder
    return inner if inner.is_dir() else dir


def _records(files: CIFARFiles, path: Path, n_records: int) -> np.ndarray[Any, Any]:
    if not path.is_file():
        raise DataError(f"{path} is missing; it should hold {n_records} records of {files.record_bytes} bytes")
    expected, found = n_records * files.record_bytes, path.stat().st_size
    if found != expected:
        raise DataError(
            f"{path} has {found} bytes, expected {expected} ({n_records} records of {files.record_bytes}); "
            f"it is truncated or not {files.title} in binary form"
        )
    records = np.fromfile(path, np.uint8).reshape(-1, files.record_bytes)
    labels = records[:, files.n_labels - 1]
    wrong = np.flatnonzero(labels >= len(files.classes))
    if len(wrong):
        raise DataError(
            f"{path} has label {labels[wrong[0]]} in record {wrong[0]}; "
            f"labels of {files.title} are 0..{len(files.classes) - 1}"
        )
    return records
