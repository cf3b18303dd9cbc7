"""CIFAR-100 in its binary layout."""

from __future__ import annotations

from pathlib import Path

from onelip.data.cifar_files import CIFARFiles, load_cifar
from onelip.data.images import DataError, DataSet
from onelip.data.registry import Extent, Progress, register_dataset

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
SHA256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
FOLDER = "cifar-100-binary"
TRAIN_FILE, TEST_FILE = "train.bin", "test.bin"
N_TRAIN, N_TEST = 50_000, 10_000
"""Images in each file."""
PICKLED_FOLDER = "cifar-100-python"
CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip


@register_dataset(
    "cifar100",
    dir="optional",
    kept=(f"{FOLDER}/{TRAIN_FILE}", f"{FOLDER}/{TEST_FILE}"),
    extent=Extent((3, 32, 32), len(CLASSES), N_TRAIN, N_TEST),
)
def cifar100(dir: Path | None = None, progress: Progress | None = None) -> DataSet:
    """CIFAR-100: 50,000 training and 10,000 test images of 32x32 pixels in 100 classes.

    The label is the fine one; the 20 coarse ones are skipped. The version for Python is refused: it consists of
    pickles, and reading a pickle runs whatever program it contains.
    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).

    Args:
        dir: The folder with train.bin and test.bin, or the one that holds cifar-100-binary. Without it, the binary
            archive (169 MB) is downloaded once from its public home, its SHA-256 checked, and its files kept in the
            cache folder.
        progress: Called as `progress(done, total)` in bytes, of the download if there is one, else of the files.

    Returns:
        The data set, images `(N, 3, 32, 32)` uint8 with scale 255.

    Raises:
        DataError: A file is missing, truncated or not of this format, or the download failed.
    """
    if dir is not None and (pickled := _pickled(dir)) is not None:
        raise DataError(
            f"{pickled} is CIFAR-100 for Python, a pickle, which could run any program when read; "
            f"fetch the binary version, {URL}"
        )
    counts = {TRAIN_FILE: N_TRAIN, TEST_FILE: N_TEST}
    # The byte before the fine label is the coarse one.
    return load_cifar(CIFARFiles("cifar100", "CIFAR-100", URL, SHA256, FOLDER, counts, 2, CLASSES), dir, progress)


# The file of pickled training images, if there is that and no binary version.
def _pickled(dir: Path) -> Path | None:
    if any((folder / TRAIN_FILE).is_file() for folder in (dir, dir / FOLDER)):
        return None
    pickled = [folder / "train" for folder in (dir, dir / PICKLED_FOLDER)]
    return next((path for path in pickled if path.is_file()), None)
