"""A data set of the user's own, in the four files of MNIST's format."""

from __future__ import annotations

from pathlib import Path

from onelip.data.idx_files import plain_or_compressed, read_part
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.registry import Progress, register_dataset

_PARTS = ("train", "t10k")
_NEEDS = "data set 'idx' needs one with train-images-idx3-ubyte, train-labels-idx1-ubyte and the same for t10k"


@register_dataset("idx", dir="required")
def idx(dir: Path | None, progress: Progress | None = None) -> DataSet:
    """Your own images in the four files of MNIST's format, of any number and size, grey or in colour.

    Grey images are in `train-images-idx3-ubyte`, `(N, H, W)`; images in colours in `train-images-idx4-ubyte`,
    `(N, H, W, 3)`, red, green and blue of a pixel side by side. Labels from 0 are in `train-labels-idx1-ubyte`; the
    test images are in `t10k-...`. Each file may be compressed (".gz"). Classes are the numbers up to the largest label.

    Args:
        dir: The folder with the files.
        progress: Called after each of the two parts.

    Returns:
        The data set, images `(N, 1, H, W)` or `(N, 3, H, W)` uint8 with scale 255.

    Raises:
        DataError: A file is missing, broken or not of this format, or the parts do not fit together.
    """
    if dir is None or not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; {_NEEDS}")
    parts = []
    for n_read, part in enumerate(_PARTS, start=1):
        parts.append(_part(dir, part))
        if progress is not None:
            progress(n_read, len(_PARTS))
    n_classes = 1 + int(max(part.labels.max() for part in parts))
    return DataSet("idx", parts[0], parts[1], tuple(map(str, range(n_classes))), str(dir))


def _part(home: Path, part: str) -> ImageData:
    grey, colour = f"{part}-images-idx3-ubyte", f"{part}-images-idx4-ubyte"
    found = [name for name in (grey, colour) if plain_or_compressed(home / name) is not None]
    if len(found) != 1:
        number = "has both" if found else "has neither"
        raise DataError(f"{home} {number} {grey} (grey images) and {colour} (in colour); it needs one of them")
    shape: tuple[None, ...] = (None,) * (3 if found == [grey] else 4)
    images = read_part(home, found[0], f"{part}-labels-idx1-ubyte", shape)
    if found == [colour] and images.shape[0] != 3:
        raise DataError(f"{home / colour} has {images.shape[0]} numbers for each pixel, the last axis; it needs 3")
    return images
