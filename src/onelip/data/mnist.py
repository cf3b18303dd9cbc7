"""MNIST and Fashion-MNIST in their IDX files."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data.download import cache_folder, download
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.registry import Progress, register_dataset

N_TRAIN, N_TEST = 60_000, 10_000
"""Images in each part."""

_SIDE = 28
_PARTS = ("train", "t10k")


@dataclass(frozen=True)
class IDXFiles:
    """Where a data set in four IDX files is at home.

    Attributes:
        name: Registered name.
        url: Address of the folder.
        sha256: Digest of each file, by name.
        classes: Class names.
        source: Where the images are from.
    """

    name: str
    url: str
    sha256: dict[str, str]
    classes: tuple[str, ...]
    source: str


MNIST = IDXFiles(
    "mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    tuple("0123456789"),
    "MNIST, LeCun, Cortes and Burges 1998",
)
FASHION_MNIST = IDXFiles(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    "Fashion-MNIST, Xiao, Rasul and Vollgraf 2017, MIT licence",
)


@register_dataset("mnist", dir="optional")
def mnist(dir: Path | None = None, progress: Progress | None = None) -> DataSet:
    """MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28 grey pixels.

    Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits" (1998).

    Args:
        dir: The folder with the four IDX files, train-images-idx3-ubyte and so on, compressed (".gz") or not. Without
            it, they (11 MB) are downloaded once from a public mirror, their SHA-256 checked, and kept in the cache
            folder.
        progress: Called as `progress(done, total)` in bytes, of each download if there is one, else of the files.

    Returns:
        The data set, images `(N, 1, 28, 28)` uint8 with scale 255.

    Raises:
        DataError: A file is missing, truncated or not of this format, or the download failed.
    """
    return _load(MNIST, dir, progress)


@register_dataset("fashion-mnist", dir="optional")
def fashion_mnist(dir: Path | None = None, progress: Progress | None = None) -> DataSet:
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothes in 10 classes, 28x28 grey pixels.

    Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST" (2017), arXiv:1708.07747.

    Args:
        dir: As for "mnist"; downloaded (30 MB) from its public home otherwise.
        progress: As for "mnist".

    Returns:
        The data set, images `(N, 1, 28, 28)` uint8 with scale 255.

    Raises:
        DataError: A file is missing, truncated or not of this format, or the download failed.
    """
    return _load(FASHION_MNIST, dir, progress)


def _load(files: IDXFiles, dir: Path | None, progress: Progress | None) -> DataSet:
    if dir is None:
        home = cache_folder() / files.name
        missing = [name for name in files.sha256 if not (home / name).is_file()]
        for name in missing:
            download(files.url + name, home / name, files.sha256[name], progress)
        progress = None if missing else progress
    elif not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; {files.name} needs one with {next(iter(files.sha256))}")
    else:
        home = dir
    parts = {}
    counts = (N_TRAIN, N_TEST)
    total, done = sum(counts), 0
    for part, count in zip(_PARTS, counts, strict=True):
        images = read_idx(home / f"{part}-images-idx3-ubyte.gz", (count, _SIDE, _SIDE))
        labels = read_idx(home / f"{part}-labels-idx1-ubyte.gz", (count,))
        wrong = np.flatnonzero(labels >= len(files.classes))
        if len(wrong):
            raise DataError(
                f"{home / part}-labels-idx1-ubyte.gz has label {labels[wrong[0]]} at {wrong[0]}; labels of "
                f"{files.name} are 0..{len(files.classes) - 1}"
            )
        parts[part] = ImageData(
            torch.from_numpy(images[:, None].copy()), torch.from_numpy(labels.astype(np.int64)), 255.0
        )
        done += count
        if progress is not None:
            progress(done * (_SIDE**2 + 1), total * (_SIDE**2 + 1))
    return DataSet(files.name, parts["train"], parts["t10k"], files.classes, f"{files.source}, {files.url}")


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Read an IDX file of bytes of a known shape.

    The format: two zero bytes, 8 for unsigned bytes, the number of axes, each axis's length as four bytes, the largest
    first, then the values, the last axis running fastest.

    Args:
        path: The file, compressed if its name ends in ".gz"; if it is missing, the one without that ending is read.
        shape: What it has to hold.

    Returns:
        `shape`, uint8.

    Raises:
        DataError: The file is missing, cannot be decompressed, or holds something else.
    """
    plain = path.with_suffix("")
    if not path.is_file() and plain.is_file():
        path = plain
    if not path.is_file():
        raise DataError(f"{path} is missing; it should hold {' x '.join(map(str, shape))} bytes in IDX format")
    header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    expected = len(header) + math.prod(shape)
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            # No more than what it should hold, and one byte to see that there is more.
            content = file.read(expected + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be decompressed ({error}); it is truncated or no gzip file") from error
    if content[: len(header)] != header:
        raise DataError(
            f"{path} begins with {content[: len(header)].hex()}, expected {header.hex()}, that of an IDX file of "
            f"{' x '.join(map(str, shape))} bytes"
        )
    if len(content) != expected:
        more = "more than " if len(content) > expected else ""
        raise DataError(f"{path} holds {more}{min(len(content), expected)} bytes, expected {expected}")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)
