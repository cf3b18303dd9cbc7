"""STL-10 in its binary layout."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data.columns import rows_first
from onelip.data.download import cache_folder, download, extract
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.registry import Extent, Progress, register_dataset

URL = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
SHA256 = "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866"
FOLDER = "stl10_binary"
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
N_TRAIN, N_TEST, N_FOLDS, N_OF_FOLD = 5_000, 8_000, 10, 1_000
"""Images in each part, predefined folds, and training images in each."""
FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt", "fold_indices.txt")
"""What is taken out of the archive; the 100,000 images without labels, 2.8 GB, are left in it."""

_SIDE = 96


@register_dataset(
    "stl10",
    dir="optional",
    kept=tuple(f"{FOLDER}/{name}" for name in FILES),
    extent=Extent((3, _SIDE, _SIDE), len(CLASSES), N_TRAIN, N_TEST),
)
def stl10(dir: Path | None = None, progress: Progress | None = None, *, fold: int | None = None) -> DataSet:
    """STL-10: 5,000 training and 8,000 test images, RGB 96x96, in 10 classes; ten folds of 1,000 training images.

    The 100,000 images without labels are not read.
    Source: A. Coates, H. Lee and A. Y. Ng, "An Analysis of Single Layer Networks in Unsupervised Feature Learning"
    (2011).

    Args:
        dir: The folder with train_X.bin, train_y.bin, test_X.bin and test_y.bin, for a fold fold_indices.txt, too, or
            the one that holds stl10_binary. Without it, the binary archive (2.6 GB) is downloaded once from its public
            home, its SHA-256 checked, and these files kept in the cache folder.
        progress: Called as `progress(done, total)`, in bytes of the download if there is one, then in images.
        fold: Train on the images of this predefined fold, 0..9, in its order; None for all 5,000.

    Returns:
        The data set, images `(N, 3, 96, 96)` uint8 with scale 255.

    Raises:
        ValueError: There is no such fold.
        DataError: A file is missing, truncated or not of this format, or the download failed.
    """
    if fold is not None and (isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < N_FOLDS):
        raise ValueError(f"fold={fold!r} of data set 'stl10' must be an integer in 0..{N_FOLDS - 1}, or null for all")
    home = _downloaded(progress) if dir is None else _find(dir)
    _check_classes(home / "class_names.txt")
    chosen = None if fold is None else _fold(home / "fold_indices.txt", fold)
    train = _part(home, "train", N_TRAIN)
    if progress is not None:
        progress(N_TRAIN, N_TRAIN + N_TEST)
    test = _part(home, "test", N_TEST)
    if progress is not None:
        progress(N_TRAIN + N_TEST, N_TRAIN + N_TEST)
    source = f"STL-10, Coates, Lee and Ng 2011, {URL}"
    return DataSet("stl10", train if chosen is None else train.subset(chosen), test, CLASSES, source)


def _downloaded(progress: Progress | None) -> Path:
    home = cache_folder() / FOLDER
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".stl10.", dir=home.parent) as folder:
            archive = Path(folder) / URL.rpartition("/")[2]
            download(URL, archive, SHA256, progress)
            extract(archive, [f"{FOLDER}/{name}" for name in FILES], home)
    return home


def _find(dir: Path) -> Path:
    if not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; data set 'stl10' needs one with {', '.join(FILES[:4])}")
    inner = dir / FOLDER
    return inner if inner.is_dir() else dir


def _part(home: Path, part: str, n_images: int) -> ImageData:
    images = _read(home / f"{part}_X.bin", n_images, 3 * _SIDE**2).reshape(n_images, 3, _SIDE, _SIDE)
    path = home / f"{part}_y.bin"
    labels = _read(path, n_images, 1)
    wrong = np.flatnonzero((labels < 1) | (labels > len(CLASSES)))
    if len(wrong):
        raise DataError(f"{path} has label {labels[wrong[0]]} at {wrong[0]}; labels of STL-10 are 1..{len(CLASSES)}")
    rows_first(images)
    return ImageData(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64) - 1), 255.0)


def _read(path: Path, n_records: int, n_bytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if not path.is_file():
        raise DataError(f"{path} is missing; it should hold {n_records} records of {n_bytes} bytes")
    expected, found = n_records * n_bytes, path.stat().st_size
    if found != expected:
        raise DataError(
            f"{path} has {found} bytes, expected {expected} ({n_records} records of {n_bytes}); it is truncated or not "
            "STL-10 in binary form"
        )
    return np.fromfile(path, np.uint8)


# Not needed for reading, but another list means other labels.
def _check_classes(path: Path) -> None:
    if path.is_file() and tuple(_text(path).split()) != CLASSES:
        raise DataError(f"{path} does not name the classes of STL-10, {', '.join(CLASSES)}, in this order")


def _fold(path: Path, fold: int) -> torch.Tensor:
    lines = _text(path).splitlines()
    if len(lines) != N_FOLDS:
        raise DataError(f"{path} has {len(lines)} lines, expected one for each of {N_FOLDS} folds")
    words = lines[fold].split()
    numbers = [int(word) for word in words if word.isdecimal() and int(word) < N_TRAIN]
    if len(numbers) != len(words) or len(words) != N_OF_FOLD:
        raise DataError(f"line {fold + 1} of {path} does not hold {N_OF_FOLD} indices in 0..{N_TRAIN - 1}")
    if len(set(numbers)) != N_OF_FOLD:
        raise DataError(f"line {fold + 1} of {path} holds an index twice; it is not the published file")
    return torch.tensor(numbers)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is missing or no text file") from error
