"""The cropped digits of Street View House Numbers, in their MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from onelip.data.columns import rows_first
from onelip.data.download import cache_folder, download
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.mat_files import Bytes, read_mat
from onelip.data.registry import Extent, Progress, register_dataset

URL = "http://ufldl.stanford.edu/housenumbers/"
SHA256 = {
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    "extra_32x32.mat": "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
}
"""Digest of each file, by name."""
N_TRAIN, N_TEST, N_EXTRA = 73_257, 26_032, 531_131
"""Images in each file."""
FOLDER = "svhn"
TRAIN_FILE, TEST_FILE, EXTRA_FILE = SHA256

_SIDE = 32
_DIGITS = tuple("0123456789")


@register_dataset(
    "svhn",
    dir="optional",
    kept=(f"{FOLDER}/{TRAIN_FILE}", f"{FOLDER}/{TEST_FILE}"),
    extent=Extent((3, _SIDE, _SIDE), len(_DIGITS), N_TRAIN, N_TEST),
)
def svhn(dir: Path | None = None, progress: Progress | None = None, *, extra: bool = False) -> DataSet:
    """SVHN: 73,257 training and 26,032 test images of house numbers' digits, RGB 32x32.

    The label 10 of the files is the digit 0. With `extra`, the 531,131 somewhat easier images of the third file follow
    the training images; they take 1.6 GB of memory more.
    Source: Y. Netzer and others, "Reading Digits in Natural Images with Unsupervised Feature Learning" (2011).

    Args:
        dir: The folder with train_32x32.mat, test_32x32.mat and, if wanted, extra_32x32.mat. Without it, they (182,
            64 and 1,329 MB) are downloaded once from their public home, their SHA-256 checked, and kept in the cache
            folder.
        progress: Called as `progress(done, total)` in bytes of each download, then in images.
        extra: Add the extra images to the training images.

    Returns:
        The data set, images `(N, 3, 32, 32)` uint8 with scale 255.

    Raises:
        ValueError: The option is no boolean.
        DataError: A file is missing, truncated or not of this format, or the download failed.
    """
    if not isinstance(extra, bool):
        raise ValueError(f"extra={extra!r} of data set 'svhn' must be true or false")
    names = [TRAIN_FILE, EXTRA_FILE, TEST_FILE] if extra else [TRAIN_FILE, TEST_FILE]
    home = _home(dir, names, progress)
    counts = {TRAIN_FILE: N_TRAIN, EXTRA_FILE: N_EXTRA, TEST_FILE: N_TEST}
    total, done = sum(counts[name] for name in names), 0
    images, labels = np.empty((total, 3, _SIDE, _SIDE), np.uint8), np.empty(total, np.uint8)
    for name in names:
        rows = slice(done, done + counts[name])
        read_mat(home / name, {"X": images[rows], "y": labels[None, rows]})
        _check_labels(home / name, labels[rows])
        done += counts[name]
        if progress is not None:
            progress(done, total)
    rows_first(images)
    numbers = torch.from_numpy(labels.astype(np.int64) % 10)
    train, test = (
        ImageData(torch.from_numpy(images[rows]), numbers[rows], 255.0)
        for rows in (slice(0, total - N_TEST), slice(total - N_TEST, None))
    )
    return DataSet("svhn", train, test, _DIGITS, f"SVHN, Netzer et al. 2011, non-commercial use, {URL}")


def _home(dir: Path | None, names: list[str], progress: Progress | None) -> Path:
    if dir is not None:
        if not dir.is_dir():
            raise DataError(f"dir={str(dir)!r} is not a folder; data set 'svhn' needs one with {' and '.join(names)}")
        return dir
    home = cache_folder() / FOLDER
    for name in names:
        if not (home / name).is_file():
            download(URL + name, home / name, SHA256[name], progress)
    return home


def _check_labels(path: Path, labels: Bytes) -> None:
    wrong = np.flatnonzero((labels < 1) | (labels > 10))
    if len(wrong):
        raise DataError(f"{path} has label {labels[wrong[0]]} at {wrong[0]}; labels of SVHN are 1..10, 10 for the 0")
