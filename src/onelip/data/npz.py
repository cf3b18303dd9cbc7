"""Arrays of an .npz file: mapped into memory where they are stored as they are, read where they are compressed."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

# What zipfile, zlib and numpy raise on files with wrong bytes; a wrong shape in a header can exhaust the memory.
UNREADABLE = (
    OSError, ValueError, EOFError, TypeError, AttributeError, KeyError, RuntimeError, OverflowError, MemoryError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

# Of a file's own header inside a zip archive: its size, and where the lengths of name and extra field stand.
_LOCAL_HEADER, _LENGTHS = 30, slice(26, 30)


def array_names(path: Path) -> set[str]:
    """List the arrays of a file.

    Args:
        path: The .npz file.

    Returns:
        Their names.
    """
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def open_arrays(path: Path, names: Iterable[str]) -> dict[str, Array]:
    """Open arrays without reading those that are not compressed: their pages are read when they are used.

    Pickled objects are refused.

    Args:
        path: The .npz file, as `numpy.savez` writes it; of `numpy.savez_compressed`, arrays are read whole.
        names: Of its arrays.

    Returns:
        Array by name; writing into one changes the memory and not the file.

    Raises:
        ValueError: An array is not one of plain numbers, or its bytes are not all there.
    """
    with zipfile.ZipFile(path) as archive:
        return {name: _open_array(path, archive, archive.getinfo(f"{name}.npy")) for name in names}


def _open_array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as stream:
        if member.compress_type != zipfile.ZIP_STORED:
            return np.lib.format.read_array(stream, allow_pickle=False)
        shape, fortran, dtype = _header(stream)
        length = stream.tell()
    if dtype.hasobject:
        raise ValueError(f"{member.filename} in {path} holds pickled objects; it must hold plain numbers")
    if length + dtype.itemsize * math.prod(shape) != member.file_size:
        raise ValueError(f"{member.filename} in {path} has {member.file_size} bytes, not those of shape {shape}")
    # Copy on write: torch wants memory that may be written.
    return np.memmap(
        path, dtype, mode="c", offset=_start(path, member) + length, shape=shape, order="F" if fortran else "C"
    )


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)


def _start(path: Path, member: zipfile.ZipInfo) -> int:
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name_length, extra_length = struct.unpack("<HH", file.read(_LOCAL_HEADER)[_LENGTHS])
    return member.header_offset + _LOCAL_HEADER + int(name_length) + int(extra_length)
