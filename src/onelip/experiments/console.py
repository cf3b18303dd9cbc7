"""Plain lines on standard output."""

from __future__ import annotations

from rich.console import Console


def say(*lines: str) -> None:
    """Print lines as they are, unwrapped.

    Args:
        *lines: One sentence or path each.
    """
    for line in lines:
        Console(soft_wrap=True).print(line, highlight=False, markup=False)
