"""Sentences for errors that several packages raise."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, name: str, allowed: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest valid spelling.

    Args:
        kind: What the name stands for, such as "layer".
        name: What the user gave.
        allowed: The valid names.

    Returns:
        One sentence.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else "it must be one of " + ", ".join(map(repr, names))
    return f"{kind} {name!r} is unknown; {hint}"
