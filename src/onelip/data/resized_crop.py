"""Random-resized-crop: a part of each image, of random size and proportions, is stretched over the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from onelip.data.geometry import Floats, Integers

# How often a box that does not fit is drawn anew.
_ATTEMPTS = 10


@dataclass(frozen=True)
class ResizedCrop:
    """Boxes of random area and proportions, stretched to the size of the image.

    The area is uniform in `scale` times that of the image, the logarithm of width over height uniform between those of
    `ratio`, the place uniform among those where the box fits. A box that fits nowhere is drawn anew; after ten of them
    the largest central box whose proportions are in `ratio` is taken.

    Attributes:
        scale: Smallest and largest share of the image's area, 0 < scale[0] <= scale[1] <= 1.
        ratio: Smallest and largest width over height, 0 < ratio[0] <= ratio[1].

    Paper:
        Szegedy et al. 2014, arXiv:1409.4842, section 6.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        for name, top in (("scale", 1.0), ("ratio", float("inf"))):
            value = getattr(self, name)
            if len(value) != 2 or not 0 < value[0] <= value[1] <= top or value[1] == float("inf"):
                limit = " <= 1" if name == "scale" else ""
                raise ValueError(f"{name}={value} in ResizedCrop must be two numbers with 0 < first <= second{limit}")

    def apply(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Crop at random and stretch.

        Args:
            images: `(B, C, H, W)` floating point.
            rng: Source of all random numbers.

        Returns:
            `(B, C, H, W)`, between the smallest and the largest pixel of the image.
        """
        return crop_and_resize(images, self.boxes(len(images), images.shape[2], images.shape[3], rng))

    def boxes(self, n: int, height: int, width: int, rng: np.random.Generator) -> Integers:
        """Draw boxes.

        Args:
            n: How many.
            height: Of the image, in pixels.
            width: Of the image, in pixels.
            rng: Source of all random numbers.

        Returns:
            `(4, n)`: top, left, height and width in pixels.
        """
        area = height * width * rng.uniform(*self.scale, size=(_ATTEMPTS, n))
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = np.exp(rng.uniform(low, high, size=(_ATTEMPTS, n)))
        heights, widths = np.rint(np.sqrt(area / ratio)), np.rint(np.sqrt(area * ratio))
        fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
        first, column = fits.argmax(axis=0), np.arange(n)
        found = fits[first, column]
        middle = self._central_box(height, width)
        box_height = np.where(found, heights[first, column], middle[0]).astype(np.int64)
        box_width = np.where(found, widths[first, column], middle[1]).astype(np.int64)
        u = rng.random((2, n))
        top = np.where(found, np.floor(u[0] * (height - box_height + 1)), (height - box_height) // 2)
        left = np.where(found, np.floor(u[1] * (width - box_width + 1)), (width - box_width) // 2)
        return np.stack([top.astype(np.int64), left.astype(np.int64), box_height, box_width])

    def _central_box(self, height: int, width: int) -> tuple[int, int]:
        if width / height < self.ratio[0]:
            return max(round(width / self.ratio[0]), 1), width
        if width / height > self.ratio[1]:
            return height, max(round(height * self.ratio[1]), 1)
        return height, width


def crop_and_resize(images: Tensor, boxes: Integers, size: tuple[int, int] | None = None) -> Tensor:
    """Stretch a box of each image to one size, with bilinear interpolation, antialiased where it shrinks.

    Pixel o of n along a side of a box of length l takes the box's pixel j with weight
    max(0, 1 - |j + 1/2 - (o + 1/2) l / n| / max(l / n, 1)), normalised to sum 1: as two products with a matrix.

    Args:
        images: `(B, C, H, W)` floating point.
        boxes: `(4, B)`: top, left, height and width in pixels, inside the image.
        size: Height and width of the result; those of the images by default.

    Returns:
        `(B, C, *size)`.
    """
    height, width = images.shape[2:]
    out_height, out_width = size or (height, width)
    rows = _weights(boxes[0], boxes[2], height, out_height).to(images)[:, None]
    columns = _weights(boxes[1], boxes[3], width, out_width).to(images)[:, None]
    return rows @ images @ columns.mT


def _weights(start: Integers, length: Integers, size: int, out: int) -> Tensor:
    step: Floats = length / out
    centre = start[:, None] + (np.arange(out) + 0.5) * step[:, None]
    pixel = np.arange(size)
    distance = np.abs(pixel + 0.5 - centre[:, :, None]) / np.maximum(step, 1.0)[:, None, None]
    inside = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])
    weights = np.where(inside[:, None], np.maximum(1 - distance, 0.0), 0.0)
    return torch.from_numpy(weights / weights.sum(axis=2, keepdims=True))
