"""CIFAR-10 in its binary layout."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data.download import cache_folder, download, extract
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.registry import Progress, register_dataset

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
N_RECORDS = 10_000
"""Images in each file."""

# One byte of label, then 1024 bytes each of red, green and blue.
_RECORD_BYTES = 1 + 3 * 32 * 32


@register_dataset("cifar10", dir="optional")
def cifar10(dir: Path | None = None, progress: Progress | None = None) -> DataSet:
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32 pixels in 10 classes.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).

    Args:
        dir: The folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the one that holds
            cifar-10-batches-bin. Without it, the binary archive (170 MB) is downloaded once from its public home,
            its SHA-256 checked, and its files kept in the cache folder.
        progress: Called as `progress(done, total)` in bytes, of the download if there is one, else of the files.

    Returns:
        The data set, images `(N, 3, 32, 32)` uint8 with scale 255.

    Raises:
        DataError: A file is missing, truncated or not of this format, or the download failed.
    """
    if dir is None:
        home = cache_folder() / FOLDER
        if not home.is_dir():
            _fetch(home, progress)
            progress = None
    else:
        home = _find(dir)
    images = np.empty((6 * N_RECORDS, 3, 32, 32), np.uint8)
    labels = np.empty(6 * N_RECORDS, np.int64)
    for i, name in enumerate((*TRAIN_FILES, TEST_FILE)):
        rows = slice(i * N_RECORDS, (i + 1) * N_RECORDS)
        records = _records(home / name)
        images[rows], labels[rows] = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
        if progress is not None:
            progress((i + 1) * records.nbytes, 6 * records.nbytes)
    n_train = len(TRAIN_FILES) * N_RECORDS
    train, test = (
        ImageData(torch.from_numpy(images[rows]), torch.from_numpy(labels[rows]), 255.0)
        for rows in (slice(0, n_train), slice(n_train, None))
    )
    return DataSet("cifar10", train, test, CLASSES, f"CIFAR-10, Krizhevsky 2009, {URL}")


def _fetch(home: Path, progress: Progress | None) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".cifar10.", dir=home.parent) as folder:
        archive = Path(folder) / URL.rpartition("/")[2]
        download(URL, archive, SHA256, progress)
        extract(archive, [f"{FOLDER}/{name}" for name in (*TRAIN_FILES, TEST_FILE)], home)


def _find(dir: Path) -> Path:
    if not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; cifar10 needs one with {TRAIN_FILES[0]} and the others")
    inner = dir / FOLDER
    return inner if inner.is_dir() else dir


def _records(path: Path) -> np.ndarray[Any, Any]:
    if not path.is_file():
        raise DataError(f"{path} is missing; it should hold {N_RECORDS} records of {_RECORD_BYTES} bytes")
    expected, found = N_RECORDS * _RECORD_BYTES, path.stat().st_size
    if found != expected:
        raise DataError(
            f"{path} has {found} bytes, expected {expected} ({N_RECORDS} records of {_RECORD_BYTES}); "
            f"it is truncated or not CIFAR-10 in binary form"
        )
    records = np.fromfile(path, np.uint8).reshape(-1, _RECORD_BYTES)
    wrong = np.flatnonzero(records[:, 0] >= len(CLASSES))
    if len(wrong):
        raise DataError(f"{path} has label {records[wrong[0], 0]} in record {wrong[0]}; labels of CIFAR-10 are 0..9")
    return records
