"""Cutout: a square of each image is painted over."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from onelip.data.geometry import Integers, choose


def cutout(images: Tensor, rows: Integers, columns: Integers, side: int, *, colour: Tensor | None = None) -> Tensor:
    """Paint over a square of each image, cut off at the border.

    The square covers the rows r - floor(side / 2) .. r - floor(side / 2) + side - 1 about its centre r, and so its
    columns. With centres drawn uniformly over the image, pixels near the border are covered less often, as published.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        rows: `(B,)` centres, 0..H-1.
        columns: `(B,)` centres, 0..W-1.
        side: Side of the square in pixels, >= 1.
        colour: `(C,)` its colour, of the dtype of the images; black by default.

    Returns:
        `(B, C, H, W)`, a new tensor.

    Paper:
        DeVries and Taylor 2017, arXiv:1708.04552.
    """
    height, width = images.shape[2:]
    covered = _covered(rows, side, height)[:, :, None] & _covered(columns, side, width)[:, None, :]
    kept = torch.from_numpy(~covered)[:, None].to(images.device)
    paint = images.new_zeros(images.shape[1]) if colour is None else colour
    return choose(kept, images, paint.view(1, -1, 1, 1))


def _covered(centres: Integers, side: int, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    distance = np.arange(size) - (centres[:, None] - side // 2)
    return (distance >= 0) & (distance < side)
