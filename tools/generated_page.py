"""What the tools that generate pages share: their command line, and text in the cells of tables."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def escaped(text: str) -> str:
    """Escape what Markdown would read as marks.

    Args:
        text: Plain text.

    Returns:
        The same for the cell of a table.
    """
    for mark in ("\\", "|", "*", "<"):
        text = text.replace(mark, f"\\{mark}")
    return text


def run(tool: str, path: Path, page: Callable[[], str]) -> None:
    """Print a page, or write it if the command line says `--write`.

    Args:
        tool: Name of the tool's module in this package.
        path: The page's file.
        page: Makes its text.
    """
    if sys.argv[1:] not in ([], ["--write"]):
        sys.exit(f"usage: python -m tools.{tool} [--write]")
    if sys.argv[1:]:
        path.write_text(page(), encoding="utf-8")
        print(path)
    else:
        sys.stdout.write(page())
