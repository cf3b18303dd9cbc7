"""A data set of image files, one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data.image_files import SUFFIXES, folders_of, images_of, read_image
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.registry import Progress, register_dataset

_NEEDS = "data set 'folder' needs train/CLASS/ and test/CLASS/ with image files"
_NEEDS_CLASSES = "it needs one folder of image files per class"


@register_dataset("folder", dir="required")
def folder(dir: Path | None, progress: Progress | None = None) -> DataSet:
    """Your own image files in DIR/train/CLASS/ and DIR/test/CLASS/ (png, jpg, jpeg or bmp).

    All images must have the same size. If any image has colours, all become RGB, else all are grey. Classes are the
    folders of `train` in alphabetical order; files with other endings are skipped. Transparency is dropped.

    Args:
        dir: The folder that holds `train` and `test`.
        progress: Called after each file with the number of files.

    Returns:
        The data set, bytes with scale 255.

    Raises:
        DataError: A folder is missing or empty, or a file is broken or differs in size.
    """
    if dir is None or not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; data set 'folder' needs one that holds train/ and test/")
    classes = folders_of(dir / "train", _NEEDS)
    strange = sorted(set(folders_of(dir / "test", _NEEDS)) - set(classes))
    if strange:
        raise DataError(f"{dir / 'test' / strange[0]} is a class that {dir / 'train'} does not have; add it there")
    files = [
        (part, dir / part / name / file, label)
        for part in ("train", "test")
        for label, name in enumerate(classes)
        for file in images_of(dir / part / name, required=part == "train")
    ]
    pixels = []
    for n_read, (_, path, _) in enumerate(files, start=1):
        pixels.append(read_image(path))
        if pixels[-1].shape[:2] != pixels[0].shape[:2]:
            raise DataError(f"{_differs(path, pixels[-1], files[0][1], pixels[0])}; make all images the same size")
        if progress is not None:
            progress(n_read, len(files))
    return _assemble(dir, classes, files, pixels)


def read_classes(dir: Path, classes: Sequence[str]) -> ImageData:
    """Read the image files in DIR/CLASS/ of known classes.

    Args:
        dir: The folder of the classes.
        classes: Their names; each must have a folder with images, and no folder another name.

    Returns:
        The images with their labels, bytes with scale 255.

    Raises:
        DataError: The folders are not those of the classes, or a file is broken or differs in size.
    """
    found = folders_of(dir, _NEEDS_CLASSES)
    for name in sorted(set(found) ^ set(classes)):
        kind = "is not a class of" if name in found else "is missing; it is a class of"
        raise DataError(f"{dir / name} {kind} the data, whose classes are {', '.join(classes[:10])}")
    files = [(dir / c / file, label) for label, c in enumerate(classes) for file in images_of(dir / c)]
    pixels = [read_image(path) for path, _ in files]
    for (path, _), image in zip(files, pixels, strict=True):
        if image.shape[:2] != pixels[0].shape[:2]:
            raise DataError(f"{_differs(path, image, files[0][0], pixels[0])}; make all images the same size")
    colour = any(image.ndim == 3 for image in pixels)
    images = np.stack([_channels(image, colour) for image in pixels])
    return ImageData(torch.from_numpy(images), torch.tensor([label for _, label in files]), 255.0)


def _assemble(
    dir: Path, classes: tuple[str, ...], files: list[tuple[str, Path, int]], pixels: list[np.ndarray[Any, Any]]
) -> DataSet:
    colour = any(image.ndim == 3 for image in pixels)
    parts = {}
    for part in ("train", "test"):
        chosen = [i for i, (owner, _, _) in enumerate(files) if owner == part]
        if not chosen:
            raise DataError(f"{dir / part} holds no image; it needs files ending in {', '.join(SUFFIXES)}")
        images = np.stack([_channels(pixels[i], colour) for i in chosen])
        parts[part] = ImageData(torch.from_numpy(images), torch.tensor([files[i][2] for i in chosen]), 255.0)
    return DataSet("folder", parts["train"], parts["test"], classes, str(dir))


def _channels(image: np.ndarray[Any, Any], colour: bool) -> np.ndarray[Any, Any]:
    if image.ndim == 2:
        return np.repeat(image[None], 3 if colour else 1, axis=0)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def _differs(path: Path, image: np.ndarray[Any, Any], first: Path, other: np.ndarray[Any, Any]) -> str:
    (height, width), (first_height, first_width) = image.shape[:2], other.shape[:2]
    return f"{path} is {height}x{width} pixels, {first} is {first_height}x{first_width}"
