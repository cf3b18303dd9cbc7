"""Files that are either whole or absent, whenever the process is killed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MARK = ".partial-"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder that becomes `path` when the body ends without an error.

    Args:
        path: Where the file is to be.

    Yields:
        The temporary path, an empty file that only the owner can read until it is renamed.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}{_MARK}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~file_creation_mask())
        _flush_to_disk(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file in one step.

    Args:
        path: Where.
        text: What, as UTF-8.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json_atomically(path: Path, value: Any) -> None:
    """Write a JSON file in one step; NaN and infinity are refused, as JSON has neither.

    Args:
        path: Where.
        value: What.
    """
    write_text_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def remove_partial_files(folder: Path) -> None:
    """Delete what atomic writes of a killed process left behind.

    Args:
        folder: Searched with its subfolders; no process may be writing there.
    """
    for path in folder.rglob(f".*{_MARK}*"):
        path.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def file_creation_mask() -> int:
    """Read the process's umask, which temporary files and folders bypass.

    Returns:
        The permission bits that new files lack.
    """
    mask = os.umask(0)
    os.umask(mask)
    return mask
