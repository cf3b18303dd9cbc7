"""The files of a run, either whole or absent, whenever the process is killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from onelip.files import PARTIAL_MARK, atomic_path, file_creation_mask, write_text_atomically

__all__ = [
    "atomic_path",
    "file_creation_mask",
    "remove_partial_files",
    "write_json_atomically",
    "write_text_atomically",
]


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
    for path in folder.rglob(f".*{PARTIAL_MARK}*"):
        path.unlink(missing_ok=True)
