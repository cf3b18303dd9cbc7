"""Arrays of bytes in MATLAB's files of level 5 (MATLAB 5 to 7), read into memory that is there already."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from onelip.data.images import DataError

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

# Types of elements, and bits of an array's flags, as MathWorks's "MAT-File Format" names them.
_UINT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 2, 5, 6, 14, 15
_COMPLEX = 0x800
_HEADER, _TAG = 128, 8
_CHUNK = 1 << 20
# Longest description of an array that is believed.
_MOST_BYTES = 256


def read_mat(path: Path, into: Mapping[str, Bytes]) -> None:
    """Read arrays of bytes from a file; others in it are skipped.

    MATLAB stores the first axis fastest, so an array of its shape (a, b, c) fills one of shape (c, b, a) in order.
    Nothing is unpickled or evaluated, no more memory is used than what is given, and the checksums of compressed arrays
    are compared.

    Args:
        path: A .mat file of level 5, compressed or not.
        into: Where each array goes, by its name: contiguous, of MATLAB's shape backwards.

    Raises:
        DataError: The file is missing, truncated, broken or of another format, or an array is missing or of another
            shape or type.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; it should hold {_listed(into)}")
    missing: set[str | None] = set(into)
    with path.open("rb") as file:
        order, size = _byte_order(path, file.read(_HEADER)), path.stat().st_size
        at = _HEADER
        while at < size and missing:
            file.seek(at)
            kind, length = struct.unpack(f"{order}II", _exactly(path, file, _TAG))
            at += _TAG + length
            if at > size:
                raise DataError(f"{path} has {size} bytes, and an array in it ends at {at}; it is truncated")
            if kind not in (_MATRIX, _COMPRESSED):
                continue
            stream = _Inflated(file, length) if kind == _COMPRESSED else _Stored(file, length)
            try:
                missing.discard(_Array(path, order, stream).read(into))
            except zlib.error as error:
                raise DataError(f"{path} cannot be decompressed ({error}); it is broken") from error
    if missing:
        raise DataError(f"{path} has no array {min(map(str, missing))}; it should hold {_listed(into)}")


class _Stored:
    """The bytes of an array as they stand in the file, at most `n_bytes`."""

    def __init__(self, file: IO[bytes], n_bytes: int) -> None:
        self._file, self._left = file, n_bytes

    def read(self, n_bytes: int) -> bytes:
        found = self._file.read(min(n_bytes, self._left))
        self._left -= len(found)
        return found


class _Inflated:
    """The bytes of an array that are compressed in the file."""

    def __init__(self, file: IO[bytes], n_bytes: int) -> None:
        self._source, self._stream = _Stored(file, n_bytes), zlib.decompressobj()

    def read(self, n_bytes: int) -> bytes:
        found = b""
        while len(found) < n_bytes and not self._stream.eof:
            source = self._stream.unconsumed_tail or self._source.read(_CHUNK)
            more = self._stream.decompress(source, n_bytes - len(found))
            if not more and not source:
                break
            found += more
        return found

    # The checksum stands behind the last byte.
    def ends_within(self, n_bytes: int) -> bool:
        return len(self.read(n_bytes + 1)) <= n_bytes and self._stream.eof


class _Array:
    """One array of a file, read from its start and never past its end.

    Args:
        path: The file's name, for messages.
        order: "<" or ">", of its numbers.
        stream: Its bytes.
    """

    def __init__(self, path: Path, order: str, stream: _Stored | _Inflated) -> None:
        self._path, self._order, self._stream = path, order, stream

    def read(self, into: Mapping[str, Bytes]) -> str | None:
        if isinstance(self._stream, _Inflated):
            kind, _ = struct.unpack(f"{self._order}II", self._take(_TAG))
            if kind != _MATRIX:
                return None
        kind, flags = self._description()
        if kind != _UINT32 or len(flags) != 8:
            raise DataError(f"{self._path} has an array without flags; it is broken")
        kind, axes = self._description()
        if kind != _INT32 or len(axes) % 4:
            raise DataError(f"{self._path} has an array without a shape; it is broken")
        shape = struct.unpack(f"{self._order}{len(axes) // 4}i", axes)
        name = self._description()[1].decode("latin-1")
        if name not in into:
            return None
        if struct.unpack(f"{self._order}II", flags)[0] & _COMPLEX:
            raise DataError(f"{name} in {self._path} holds complex numbers; it should hold bytes")
        self._fill(name, shape, into[name])
        return name

    def _fill(self, name: str, shape: tuple[int, ...], target: Bytes) -> None:
        expected = target.shape[::-1]
        if shape != expected:
            raise DataError(f"{name} in {self._path} has shape {_written(shape)}, expected {_written(expected)}")
        kind, length, content = self._tag()
        if kind != _UINT8 or length != target.size:
            raise DataError(f"{name} in {self._path} is not stored as {target.size} bytes; it is broken or another one")
        flat = target.reshape(-1)
        if content is not None:
            flat[:] = np.frombuffer(content, np.uint8)
            return
        for start in range(0, length, _CHUNK):
            part = flat[start : start + _CHUNK]
            part[:] = np.frombuffer(self._take(len(part)), np.uint8)
        if isinstance(self._stream, _Inflated) and not self._stream.ends_within(-length % 8):
            raise DataError(f"{name} in {self._path} does not end where its shape says; the file is broken")

    # What is longer than four bytes is filled up to a multiple of eight.
    def _description(self) -> tuple[int, bytes]:
        kind, length, content = self._tag()
        if content is not None:
            return kind, content
        if length > _MOST_BYTES:
            raise DataError(f"{self._path} has an array described by {length} bytes; it is broken")
        return kind, self._take(length + -length % 8)[:length]

    # Type and length, and the content where its four bytes at most stand in the tag itself.
    def _tag(self) -> tuple[int, int, bytes | None]:
        tag = self._take(_TAG)
        kind, length = struct.unpack(f"{self._order}II", tag)
        if kind >> 16:
            return kind & 0xFFFF, min(kind >> 16, 4), tag[4 : 4 + (kind >> 16)]
        return kind, length, None

    def _take(self, n_bytes: int) -> bytes:
        found = self._stream.read(n_bytes)
        if len(found) < n_bytes:
            raise DataError(f"{self._path} has an array that ends too early; it is truncated or broken")
        return found


def _byte_order(path: Path, header: bytes) -> str:
    if header[:8] == b"\x89HDF\r\n\x1a\n" or header[:19] == b"MATLAB 7.3 MAT-file":
        raise DataError(f"{path} is a MATLAB 7.3 file, which is HDF5; save it anew with -v7")
    orders = {(b"IM", b"\0\1"): "<", (b"MI", b"\1\0"): ">"}
    order = orders.get((header[126:], header[124:126]))
    if order is None:
        raise DataError(f"{path} is no MATLAB file of level 5; its header ends in {header[124:].hex() or 'nothing'}")
    return order


def _exactly(path: Path, file: IO[bytes], n_bytes: int) -> bytes:
    found = file.read(n_bytes)
    if len(found) < n_bytes:
        raise DataError(f"{path} ends within the description of an array; it is truncated")
    return found


def _listed(into: Mapping[str, Bytes]) -> str:
    return " and ".join(f"{name} ({_written(target.shape[::-1])} bytes)" for name, target in into.items())


def _written(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
