"""Files that are either whole or absent, whenever the process is killed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_MARK = ".partial-"
"""What the names of files that are being written have in them."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder that becomes `path` when the body ends without an error.

    Args:
        path: Where the file is to be.

    Yields:
        The temporary path, an empty file that only the owner can read until it is renamed.
    """
    with _partial(path) as temporary:
        yield temporary
        _finish(temporary)
        temporary.replace(path)


@contextmanager
def new_path(path: Path) -> Iterator[Path]:
    """Give a temporary path as `atomic_path` does, for a file that is not to replace another.

    Args:
        path: Where the file is to be.

    Yields:
        The temporary path.

    Raises:
        FileExistsError: If there is a file, also if it appeared meanwhile.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists and is not overwritten")
    with _partial(path) as temporary:
        yield temporary
        _finish(temporary)
        try:
            # Unlike a renaming, a link never takes the place of a file.
            path.hardlink_to(temporary)
        except FileExistsError:
            raise FileExistsError(f"{path} exists and is not overwritten") from None


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file in one step.

    Args:
        path: Where.
        text: What, as UTF-8.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def file_creation_mask() -> int:
    """Read the process's umask, which temporary files and folders bypass.

    Returns:
        The permission bits that new files lack.
    """
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}{PARTIAL_MARK}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _finish(temporary: Path) -> None:
    temporary.chmod(0o666 & ~file_creation_mask())
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
