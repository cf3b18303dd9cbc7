"""MNIST and Fashion-MNIST in their IDX files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onelip.data.download import cache_folder, download
from onelip.data.idx_files import read_part
from onelip.data.images import DataError, DataSet
from onelip.data.registry import Extent, Progress, register_dataset

N_TRAIN, N_TEST = 60_000, 10_000
"""Images in each part."""

_SIDE = 28
_PARTS = ("train", "t10k")
_EXTENT = Extent((1, _SIDE, _SIDE), 10, N_TRAIN, N_TEST)


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

    @property
    def kept(self) -> tuple[str, ...]:
        """The files, as paths from the cache folder."""
        return tuple(f"{self.name}/{file}" for file in self.sha256)


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


@register_dataset("mnist", dir="optional", kept=MNIST.kept, extent=_EXTENT)
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


@register_dataset("fashion-mnist", dir="optional", kept=FASHION_MNIST.kept, extent=_EXTENT)
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
        names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
        parts[part] = read_part(home, *names, (count, _SIDE, _SIDE), len(files.classes))
        done += count
        if progress is not None:
            progress(done * (_SIDE**2 + 1), total * (_SIDE**2 + 1))
    return DataSet(files.name, parts["train"], parts["t10k"], files.classes, f"{files.source}, {files.url}")
