"""Colour jitter: brightness, contrast, saturation and hue of each image change at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from onelip.data.colour import brightness, check_channels, contrast, hue, saturation


@dataclass(frozen=True)
class ColorJitter:
    """Changes of colour, in this order, each image by factors of its own; 0 leaves one out.

    Factors are uniform in [max(0, 1 - x), 1 + x], hues turn by a part of the circle uniform in [-x, x]. Saturation and
    hue leave grey images as they are.

    Attributes:
        brightness: Largest change of the factor that multiplies the pixels, >= 0.
        contrast: Largest change of the factor about the mean luma, >= 0.
        saturation: Largest change of the factor about the grey image, >= 0.
        hue: Largest turn, in [0, 0.5].
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        for name, limit in (("brightness", 10.0), ("contrast", 10.0), ("saturation", 10.0), ("hue", 0.5)):
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name}={getattr(self, name)} in ColorJitter must lie in [0, {limit:g}]")

    @property
    def active(self) -> bool:
        """Does it change anything?"""
        return max(self.brightness, self.contrast, self.saturation, self.hue) > 0

    def apply(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Change the colours at random.

        Args:
            images: `(B, C, H, W)` in [0, 1], of 1 or 3 channels.
            rng: Source of all random numbers.

        Returns:
            `(B, C, H, W)` in [0, 1].
        """
        check_channels(images, "ColorJitter")
        u = rng.random((4, len(images)))
        changes = ((brightness, self.brightness), (contrast, self.contrast), (saturation, self.saturation))
        for row, (change, most) in zip(u, changes, strict=False):
            if most > 0:
                low = max(0.0, 1 - most)
                images = change(images, torch.from_numpy(low + (1 + most - low) * row).to(images))
        return hue(images, torch.from_numpy(self.hue * (2 * u[3] - 1)).to(images)) if self.hue > 0 else images
