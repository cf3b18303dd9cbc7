"""Images moved: by whole pixels, by an affine map with bilinear interpolation, or by one to the nearest pixel."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Integers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Booleans: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


def shift_and_mirror(
    images: Tensor, dy: Integers, dx: Integers, mirrored: Booleans, *, margin: int, colour: Tensor | None = None
) -> Tensor:
    """Move each image by whole pixels and mirror some, in one gather.

    Output pixel (i, j) is input pixel (i + dy, j + dx), or (i + dy, W - 1 - j + dx) where mirrored.

    Args:
        images: `(B, C, H, W)` of any dtype.
        dy: `(B,)` integers in -margin..margin.
        dx: `(B,)` integers in -margin..margin.
        mirrored: `(B,)` booleans.
        margin: Largest shift.
        colour: `(C,)` colour of pixels from outside, of the dtype of the images; black by default.

    Returns:
        `(B, C, H, W)`, a new tensor.
    """
    n, channels, height, width = images.shape
    padded = _pad(images, margin, colour)
    rows = (margin + dy)[:, None] + np.arange(height)
    columns = np.where(mirrored[:, None], np.arange(width)[::-1], np.arange(width)) + (margin + dx)[:, None]
    flat = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    index = torch.from_numpy(flat.reshape(n, 1, -1)).to(images.device).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view(images.shape)


def _pad(images: Tensor, margin: int, colour: Tensor | None) -> Tensor:
    if margin == 0:
        return images
    if colour is None:
        return functional.pad(images, (margin, margin, margin, margin))
    n, channels, height, width = images.shape
    padded = colour.view(1, -1, 1, 1).expand(n, channels, height + 2 * margin, width + 2 * margin).contiguous()
    padded[:, :, margin:-margin, margin:-margin] = images
    return padded


def warp(images: Tensor, angle: Floats, factor: Floats, shift: Floats, *, colour: Tensor | None = None) -> Tensor:
    """Rotate, scale and translate each image about its centre, with bilinear interpolation.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        angle: `(B,)` in radians, clockwise on the screen.
        factor: `(B,)` magnification, > 0.
        shift: `(2, B)` translation right and down, as a part of width and height.
        colour: `(C,)` colour of pixels from outside; black by default.

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    height, width = images.shape[2:]
    cos, sin = np.cos(angle) / factor, np.sin(angle) / factor
    # grid_sample wants the inverse map, in units of half the width and half the height.
    inverse = np.empty((len(images), 2, 3))
    inverse[:, 0, 0], inverse[:, 0, 1] = cos, sin * (height / width)
    inverse[:, 1, 0], inverse[:, 1, 1] = -sin * (width / height), cos
    inverse[:, :, 2] = -np.einsum("nij,jn->ni", inverse[:, :, :2], 2 * shift)
    theta = torch.from_numpy(inverse).to(images)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    if colour is None:
        return functional.grid_sample(images, grid, align_corners=False).clamp_(0.0, 1.0)
    ground = colour.to(images).view(1, -1, 1, 1)
    return (functional.grid_sample(images - ground, grid, align_corners=False) + ground).clamp_(0.0, 1.0)


def move_to_nearest(images: Tensor, inverse: Floats, *, colour: Tensor | None = None) -> Tensor:
    """Move each image by an affine map, taking the nearest input pixel.

    Output pixel (i, j) is the input pixel that contains the point `inverse @ (j + 1/2, i + 1/2, 1)`, in pixels right
    and down from the corner of the image: a shift by whole pixels is exact.

    Args:
        images: `(B, C, H, W)`, floating point.
        inverse: `(B, 2, 3)`, from points of the output to points of the input.
        colour: `(C,)` colour of pixels from outside, of the dtype of the images; black by default.

    Returns:
        `(B, C, H, W)`, a new tensor.
    """
    n, channels, height, width = images.shape
    (a, b, c), (d, e, f) = torch.from_numpy(inverse).float().to(images.device)[..., None, None].permute(1, 2, 0, 3, 4)
    x = torch.arange(width, device=images.device) + 0.5
    y = (torch.arange(height, device=images.device) + 0.5)[:, None]
    columns, rows = (a * x + (b * y + c)).floor().long(), (d * x + (e * y + f)).floor().long()
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    index = (rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)).view(n, 1, -1)
    moved = images.flatten(2).gather(2, index.expand(-1, channels, -1)).view(images.shape)
    ground = images.new_zeros(channels) if colour is None else colour
    return choose(inside[:, None], moved, ground.view(1, -1, 1, 1))


def choose(mask: Tensor, images: Tensor, others: Tensor) -> Tensor:
    """Take pixels where a mask is True and others elsewhere, exactly: several times faster than `torch.where`.

    Args:
        mask: Booleans, to be broadcast to the shape of the images.
        images: `(B, C, H, W)`, floating point and finite.
        others: Of the same dtype, finite, to be broadcast as well.

    Returns:
        `(B, C, H, W)`, a new tensor.
    """
    return torch.lerp(others.expand_as(images), images, mask.to(images))
