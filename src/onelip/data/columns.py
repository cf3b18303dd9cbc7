"""Images that a file holds column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

# Small enough for a cache, and for no second copy of the whole.
_AT_ONCE = 64


def rows_first(images: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """Turn images that are stored column by column, as MATLAB does, into rows; in place, a few at a time.

    Args:
        images: `(N, C, W, H)`, square: afterwards `(N, C, H, W)`.
    """
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE]
        part[:] = part.transpose(0, 1, 3, 2).copy()
