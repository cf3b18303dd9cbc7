"""One process at a time, for files that are read, changed and written again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes that lock the same file waiting.

    The lock is the file `lock_of(path)` beside it, which stays: the file itself is replaced when it is written, and a
    lock file that is removed may be locked by two. A process that is killed gives its lock back.

    Args:
        path: The file, which may not exist yet.

    Yields:
        Nothing.
    """
    handle = os.open(lock_of(path), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def lock_of(path: Path) -> Path:
    """Name the file that `locked` locks.

    Args:
        path: The file that it is about.

    Returns:
        `.NAME.lock` beside it.
    """
    return path.with_name(f".{path.name}.lock")
