"""Many small images in one picture, and such pictures as an animation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from onelip.files import atomic_path
from onelip.pictures.canvas import Image, drawable

_PAPER = (70, 110, 180)
"""Colour of the gaps: none of a grey image, so that strokes that end at the border do not run into it."""


def sample_grid(images: Tensor, columns: int = 10, *, side: int = 48) -> Image:
    """Lay images out in rows, enlarged without smoothing, with thin gaps.

    Args:
        images: `(n, C, H, W)` pixels in [0, 1].
        columns: Images in a row, >= 1; places of a last row that is not full stay empty.
        side: Images are enlarged by the largest whole number that leaves the longer side at most this long, or 1.

    Returns:
        `(height, width, 3)` uint8.

    Raises:
        ValueError: There is no image, or less than one column.
    """
    if len(images) == 0 or columns < 1:
        raise ValueError(f"{len(images)} images in columns={columns} of sample_grid; it takes at least one of each")
    height, width = images.shape[2:]
    zoom, columns = max(1, side // max(height, width)), min(columns, len(images))
    gap = max(1, zoom // 2)
    height, width = height * zoom + gap, width * zoom + gap
    rows = -(-len(images) // columns)
    grid = np.full((rows * height + gap, columns * width + gap, 3), _PAPER, np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * height, gap + i % columns * width
        enlarged = drawable(image).repeat(zoom, axis=0).repeat(zoom, axis=1)
        grid[top : top + height - gap, left : left + width - gap] = enlarged
    return grid


def save_picture(picture: Image, path: str | Path) -> None:
    """Write a picture as PNG, in one step.

    Args:
        picture: `(height, width, 3)` uint8.
        path: Where; a file there is replaced.
    """
    from PIL import Image as Pillow

    with atomic_path(Path(path)) as temporary:
        Pillow.fromarray(picture).save(temporary, "PNG", optimize=True)


def read_picture(path: str | Path) -> Image:
    """Read a picture.

    Args:
        path: A PNG file.

    Returns:
        `(height, width, 3)` uint8.
    """
    from PIL import Image as Pillow

    with Pillow.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def save_animation(pictures: Sequence[Image], path: str | Path, *, milliseconds: int = 150) -> None:
    """Write pictures one after the other as a GIF that starts anew after a pause on the last, in one step.

    Args:
        pictures: `(height, width, 3)` uint8, all of one size.
        path: Where; a file there is replaced.
        milliseconds: How long each is shown; the last one ten times as long.

    Raises:
        ValueError: There is no picture.
    """
    from PIL import Image as Pillow

    if not pictures:
        raise ValueError("save_animation has no picture to show")
    first, *others = [Pillow.fromarray(picture) for picture in pictures]
    shown = [milliseconds] * len(others) + [10 * milliseconds]
    with atomic_path(Path(path)) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=shown, loop=0)
