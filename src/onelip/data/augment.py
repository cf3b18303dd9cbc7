"""Random changes to a batch of images, drawn on the CPU and applied on the device in a few vectorised steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from onelip.data.images import to_pixels

Integers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Booleans: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Augment:
    """Which random changes a training image undergoes; 0 and False mean none.

    Order: shift by whole pixels and mirror, then rotate, scale and translate with bilinear interpolation. Uncovered
    pixels take the fill colour. The result is in [0, 1] again.

    Attributes:
        crop: Largest shift, in pixels: the image is padded by it on all sides and cropped back at random.
        flip: Mirror left and right with probability 1/2.
        rotate: Largest angle, in degrees, drawn uniformly from -rotate..rotate.
        scale: Largest relative change of size: factors are uniform in [1 - scale, 1 + scale].
        translate: Largest shift as a part of the image's height and width, uniform.
        fill: Colour of uncovered pixels: "zeros" (black) or "mean" (the mean pixel of the data).
    """

    crop: int = 0
    flip: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    translate: float = 0.0
    fill: Literal["zeros", "mean"] = "zeros"

    def __post_init__(self) -> None:
        if not isinstance(self.crop, int) or isinstance(self.crop, bool) or self.crop < 0:
            raise ValueError(f"crop={self.crop!r} in Augment must be a number of pixels, an integer >= 0")
        if not isinstance(self.flip, bool):
            raise ValueError(f"flip={self.flip!r} in Augment must be True or False")
        for name, limit in (("rotate", 180.0), ("scale", 0.9), ("translate", 1.0)):
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name}={getattr(self, name)} in Augment must lie in [0, {limit:g}]")
        if self.fill not in ("zeros", "mean"):
            raise ValueError(f"fill={self.fill!r} in Augment must be 'zeros' or 'mean'")

    @property
    def active(self) -> bool:
        """Does it change anything?"""
        return self.shifts or self.warps

    @property
    def shifts(self) -> bool:
        """Does it move or mirror whole pixels?"""
        return self.crop > 0 or self.flip

    @property
    def warps(self) -> bool:
        """Does it interpolate?"""
        return self.rotate > 0 or self.scale > 0 or self.translate > 0

    def apply(
        self, images: Tensor, rng: np.random.Generator, *, scale: float = 1.0, colour: Tensor | None = None
    ) -> Tensor:
        """Change a batch at random.

        Args:
            images: `(B, C, H, W)` stored values, uint8 or floating point.
            rng: Source of all random numbers, the same for every device.
            scale: Stored value of a pixel of 1.
            colour: `(C,)` fill colour in stored values, of the dtype of the images; black by default.

        Returns:
            `(B, C, H, W)` pixels in [0, 1], floating point, a new tensor.
        """
        n = len(images)
        if self.shifts:
            dy, dx = rng.integers(-self.crop, self.crop + 1, size=(2, n))
            mirrored = rng.random(n) < (0.5 if self.flip else 0.0)
            images = shift_and_mirror(images, dy, dx, mirrored, margin=self.crop, colour=colour)
        pixels = to_pixels(images, scale)
        if self.warps:
            u = rng.uniform(-1.0, 1.0, size=(4, n))
            angle, factor = np.deg2rad(self.rotate) * u[0], 1 + self.scale * u[1]
            ground = None if colour is None else to_pixels(colour, scale)
            pixels = warp(pixels, angle, factor, self.translate * u[2:], colour=ground)
        return pixels


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
