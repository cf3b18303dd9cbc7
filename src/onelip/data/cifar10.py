"""CIFAR-10 in its binary layout."""

from __future__ import annotations

from pathlib import Path

from onelip.data.cifar_files import CIFARFiles, load_cifar
from onelip.data.images import DataSet
from onelip.data.registry import Extent, Progress, register_dataset

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
N_RECORDS = 10_000
"""Images in each file."""


@register_dataset(
    "cifar10",
    dir="optional",
    kept=tuple(f"{FOLDER}/{name}" for name in (*TRAIN_FILES, TEST_FILE)),
    extent=Extent((3, 32, 32), len(CLASSES), len(TRAIN_FILES) * N_RECORDS, N_RECORDS),
)
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
    counts = dict.fromkeys((*TRAIN_FILES, TEST_FILE), N_RECORDS)
    return load_cifar(CIFARFiles("cifar10", "CIFAR-10", URL, SHA256, FOLDER, counts, 1, CLASSES), dir, progress)
