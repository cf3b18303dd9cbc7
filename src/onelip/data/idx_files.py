"""IDX files, the format of MNIST: a header with the shape, then bytes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data.images import DataError, ImageData

_CHUNK = 1 << 24
# Two zero bytes, 8 for unsigned bytes; the number of axes follows.
_MAGIC = bytes([0, 0, 8])


def plain_or_compressed(path: Path) -> Path | None:
    """Find a file that may be compressed.

    Args:
        path: Its name without ".gz".

    Returns:
        The compressed file if there is one, else the plain one; None if there is neither.
    """
    compressed = path.with_name(f"{path.name}.gz")
    return next((file for file in (compressed, path) if file.is_file()), None)


def read_idx(path: Path, shape: tuple[int | None, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Read an IDX file of bytes.

    The format: two zero bytes, 8 for unsigned bytes, the number of axes, each axis's length as four bytes, the largest
    first, then the values, the last axis running fastest.

    Args:
        path: The file without the ending ".gz"; the compressed one is read if it is there.
        shape: What it has to hold; None for an axis of any length.

    Returns:
        Of that shape, uint8.

    Raises:
        DataError: The file is missing, cannot be decompressed, or holds something else.
    """
    found = plain_or_compressed(path)
    if found is None:
        raise DataError(f"{path}.gz is missing; it should hold {_written(shape)} bytes in IDX format")
    opener: Any = gzip.open if found.suffix == ".gz" else open
    try:
        with opener(found, "rb") as file:
            stored = _stored_shape(found, file.read(4 + 4 * len(shape)), shape)
            expected = math.prod(stored)
            # No more than what it should hold, and one byte to see that there is more.
            content = _read(file, expected + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{found} cannot be decompressed ({error}); it is truncated or no gzip file") from error
    if len(content) != expected:
        more = "more than " if len(content) > expected else ""
        raise DataError(
            f"{found} holds {more}{min(len(content), expected)} bytes after its header, expected {expected} "
            f"({_written(stored)})"
        )
    return np.frombuffer(content, np.uint8).reshape(stored)


def read_part(home: Path, images: str, labels: str, shape: tuple[int | None, ...], n_classes: int = 256) -> ImageData:
    """Read the images and labels of one part of a data set.

    Args:
        home: The folder of the files.
        images: Name of the file of images, without ".gz".
        labels: That of the file of labels.
        shape: Of the images, `(N, H, W)` or `(N, H, W, C)`; None for an axis of any length.
        n_classes: Labels lie below.

    Returns:
        `(N, C, H, W)` bytes with scale 255.

    Raises:
        DataError: A file is missing, broken or not of that shape, or a label is no class.
    """
    pixels = torch.from_numpy(read_idx(home / images, shape))
    numbers = read_idx(home / labels, (len(pixels),))
    wrong = np.flatnonzero(numbers >= n_classes)
    if len(wrong):
        file = plain_or_compressed(home / labels)
        raise DataError(f"{file} has label {numbers[wrong[0]]} at {wrong[0]}; labels are 0..{n_classes - 1}")
    planes = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    return ImageData(planes, torch.from_numpy(numbers.astype(np.int64)), 255.0)


def _written(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if n is None else str(n) for n in shape)


def _stored_shape(path: Path, header: bytes, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    start = _MAGIC + bytes([len(shape)])
    if header[:4] != start or len(header) != 4 + 4 * len(shape):
        raise DataError(
            f"{path} begins with {header[:4].hex() or 'nothing'}, expected {start.hex()} and its shape: an IDX file of "
            f"{_written(shape)} bytes"
        )
    stored = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4))
    if 0 in stored or any(n not in (None, found) for n, found in zip(shape, stored, strict=True)):
        raise DataError(f"{path} holds {_written(stored)} bytes by its header, expected {_written(shape)}")
    return stored


# In parts, since a header may promise more than the memory has room for.
def _read(file: Any, n_bytes: int) -> bytearray:
    content = bytearray()
    while len(content) < n_bytes and (chunk := file.read(min(_CHUNK, n_bytes - len(content)))):
        content += chunk
    return content
