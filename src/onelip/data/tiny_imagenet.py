"""Tiny-ImageNet in its original folders, decoded once."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from onelip.data.class_folders import check_count, files_by_folder, files_by_list
from onelip.data.download import cache_folder, download, extract_zip
from onelip.data.image_files import Bytes, n_processors, opened, read_all
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.npz import UNREADABLE
from onelip.data.registry import Extent, Progress, register_dataset
from onelip.files import atomic_path

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
SHA256 = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
FOLDER = "tiny-imagenet-200"
N_CLASSES, N_TRAIN, N_VALIDATION = 200, 100_000, 10_000
"""Classes, and images in each part."""
DECODED = "onelip-decoded.npz"
"""The file of decoded images beside the folders."""

_SIDE = 64
_NEEDS = f"data set 'tiny-imagenet' needs wnids.txt, train/CLASS/images/ and val/images/, as in {FOLDER}.zip"


@register_dataset(
    "tiny-imagenet",
    dir="optional",
    kept=(f"{FOLDER}/wnids.txt",),
    extent=Extent((3, _SIDE, _SIDE), N_CLASSES, N_TRAIN, N_VALIDATION),
)
def tiny_imagenet(dir: Path | None = None, progress: Progress | None = None, *, threads: int | None = None) -> DataSet:
    """Tiny-ImageNet: 100,000 training and 10,000 test images of 64x64 pixels in 200 classes.

    The published validation images are the test part, as in all papers, since the labels of the published test images
    are not public. Grey images become RGB. Decoded images (1.4 GB) are kept in `onelip-decoded.npz` beside the folders,
    where these can be written to, and read from there as long as names, sizes and times of the files stay the same.
    Source: the course CS231n, Stanford University (2015), from ImageNet.

    Args:
        dir: The folder with wnids.txt, train and val, or the one that holds tiny-imagenet-200. Without it, the archive
            (248 MB) is downloaded once from its public home, its SHA-256 checked, and its files kept in the cache
            folder.
        progress: Called as `progress(done, total)`, in bytes of the download if there is one, then in decoded files.
        threads: How many files are decoded at the same time; that of the processors by default.

    Returns:
        The data set, images `(N, 3, 64, 64)` uint8 with scale 255; classes are named by the first of their words.

    Raises:
        ValueError: The number of threads is not positive.
        DataError: A file is missing, broken or not of this format, or the download failed.
    """
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads={threads!r} of data set 'tiny-imagenet' must be an integer >= 1")
    home = _downloaded(progress) if dir is None else _find(dir)
    classes = tuple(sorted(_read_text(home / "wnids.txt").split()))
    check_count(f"classes in {home / 'wnids.txt'}", len(classes), N_CLASSES)
    train, train_labels = files_by_folder(home / "train", classes, inner="images")
    test, test_labels = files_by_list(home / "val" / "val_annotations.txt", home / "val" / "images", classes)
    check_count(f"images in {home / 'train'}", len(train), N_TRAIN)
    check_count(f"images in {home / 'val'}", len(test), N_VALIDATION)
    paths = [*(home / "train" / file for file in train), *(home / "val" / "images" / file for file in test)]
    images = _images(home, paths, n_processors() if threads is None else threads, progress)
    parts = (
        ImageData(images[: len(train)], train_labels, 255.0),
        ImageData(images[len(train) :], test_labels, 255.0),
    )
    return DataSet("tiny-imagenet", *parts, _names(home, classes), f"Tiny-ImageNet, Stanford CS231n 2015, {URL}")


def _downloaded(progress: Progress | None) -> Path:
    home = cache_folder() / FOLDER
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tiny-imagenet.", dir=home.parent) as folder:
            archive = Path(folder) / URL.rpartition("/")[2]
            download(URL, archive, SHA256, progress)
            extract_zip(archive, FOLDER, home)
    return home


def _find(dir: Path) -> Path:
    if not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; {_NEEDS}")
    inner = dir / FOLDER
    return inner if inner.is_dir() else dir


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is missing or no text file; {_NEEDS}") from error


# "n01443537<tab>goldfish, Carassius auratus" becomes goldfish.
def _names(home: Path, classes: tuple[str, ...]) -> tuple[str, ...]:
    words = home / "words.txt"
    lines = _read_text(words).splitlines() if words.is_file() else []
    names = {number: name.partition(",")[0] for number, _, name in (line.partition("\t") for line in lines)}
    return tuple(names.get(number) or number for number in classes)


def _images(home: Path, paths: list[Path], threads: int, progress: Progress | None) -> Tensor:
    key, kept = _key(home, paths), home / DECODED
    images = _kept(kept, key)
    if images is not None:
        if progress is not None:
            progress(len(paths), len(paths))
        return torch.from_numpy(images)
    images = np.empty((len(paths), 3, _SIDE, _SIDE), np.uint8)
    read_all(len(paths), lambda i: _read(paths[i]), images, threads, progress)
    # Where the folder cannot be written to, the images are decoded each time.
    with contextlib.suppress(OSError), atomic_path(kept) as temporary, temporary.open("wb") as file:
        np.savez(file, images=images, key=np.array(key))
    return torch.from_numpy(images)


def _read(path: Path) -> Bytes:
    with opened(path) as image:
        if image.size != (_SIDE, _SIDE):
            raise DataError(f"{path} is {image.height}x{image.width} pixels; Tiny-ImageNet has {_SIDE}x{_SIDE}")
        return np.asarray(image.convert("RGB"))


# Changes with the name, the size and the time of any file.
def _key(home: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            found = path.stat()
        except OSError as error:
            raise DataError(f"{path} is missing") from error
        digest.update(f"{path.relative_to(home)}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _kept(path: Path, key: str) -> Bytes | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return stored["images"] if str(stored["key"]) == key else None
    except UNREADABLE:
        return None
