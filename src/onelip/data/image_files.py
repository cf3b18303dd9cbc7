"""Image files: which there are, what is in them, and many at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from onelip.data.images import DataError
from onelip.data.registry import Progress

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""Endings of the names of image files, in small letters."""

_GREY_MODES = ("1", "L", "LA", "La")
_COLOUR_MODES = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
# Large enough to keep the cost of handing over small, small enough to share the work evenly.
_FILES_AT_ONCE = 16


def folders_of(part: Path, needs: str) -> tuple[str, ...]:
    """List the folders of classes in a folder.

    Args:
        part: The folder.
        needs: What it is needed for, for messages.

    Returns:
        Their names in alphabetical order, hidden ones left out.

    Raises:
        DataError: The folder is missing, or there is none in it.
    """
    if not part.is_dir():
        raise DataError(f"{part} is missing; {needs}")
    with os.scandir(part) as entries:
        names = tuple(sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir()))
    if not names:
        raise DataError(f"{part} has no folder; it needs one folder of image files per class")
    return names


def images_of(folder: Path, *, required: bool = True) -> list[str]:
    """List the image files of a folder.

    Args:
        folder: The folder; it may be missing if no image is required.
        required: Refuse a folder without images.

    Returns:
        Their names in alphabetical order; hidden files and those with other endings are left out.

    Raises:
        DataError: There is none, though required.
    """
    found: list[str] = []
    if folder.is_dir():
        with os.scandir(folder) as entries:
            found = sorted(e.name for e in entries if e.name.lower().endswith(SUFFIXES) and not e.name.startswith("."))
    if required and not found:
        raise DataError(f"{folder} holds no image; it needs files ending in {', '.join(SUFFIXES)}")
    return found


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an image file with Pillow; what is broken shows while it is open.

    Args:
        path: The file.

    Yields:
        A `PIL.Image.Image` of at most 8 bits a channel, not decoded yet.

    Raises:
        DataError: Pillow is missing, or the file is missing, broken, truncated or of more bits.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("reading image files needs Pillow; pip install pillow") from error
    try:
        with Image.open(path) as image:
            if image.mode in (*_GREY_MODES, *_COLOUR_MODES):
                yield image
                return
            mode = image.mode
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image; replace or remove it") from error
    raise DataError(f"{path} has pixel mode {mode}, more than 8 bits a channel; convert it to 8 bits")


def read_image(path: Path) -> Bytes:
    """Decode an image file; transparency is dropped.

    Args:
        path: The file.

    Returns:
        `(H, W)` of a grey image or `(H, W, 3)` of one with colours, uint8.
    """
    with opened(path) as image:
        return np.array(image.convert("L" if image.mode in _GREY_MODES else "RGB"))


def read_all(
    n_files: int, read: Callable[[int], Bytes], images: Bytes, threads: int, progress: Progress | None = None
) -> None:
    """Decode files in parallel; Pillow decodes outside of Python's lock.

    Args:
        n_files: How many, N.
        read: Makes the image of a file by its number, `(H, W, 3)`.
        images: `(N, 3, H, W)`, written to.
        threads: How many files to decode at the same time.
        progress: Called as `progress(done, N)` after every few files.
    """

    def work(numbers: Sequence[int]) -> int:
        for i in numbers:
            images[i] = read(i).transpose(2, 0, 1)
        return len(numbers)

    done = 0
    parts = [range(n_files)[i : i + _FILES_AT_ONCE] for i in range(0, n_files, _FILES_AT_ONCE)]
    with ThreadPoolExecutor(threads) as pool:
        # The first error stops the rest: what `map` has not begun is cancelled.
        for n_read in pool.map(work, parts):
            done += n_read
            if progress is not None:
                progress(done, n_files)


def n_processors() -> int:
    """Count the processors that this process may use.

    Returns:
        Their number.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
