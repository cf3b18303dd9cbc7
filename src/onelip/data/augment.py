"""Random changes to a batch of images, drawn on the CPU and applied on the device in a few vectorised steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from onelip.data.color_jitter import ColorJitter
from onelip.data.cutout import cutout
from onelip.data.geometry import shift_and_mirror, warp
from onelip.data.images import to_pixels
from onelip.data.rand_augment import RandAugment
from onelip.data.resized_crop import ResizedCrop

_PARTS = {"resized_crop": ResizedCrop, "color_jitter": ColorJitter, "rand_augment": RandAugment}


@dataclass(frozen=True)
class Augment:
    """Which random changes a training image undergoes; 0, False and None mean none.

    Order: random-resized-crop; shift by whole pixels and mirror; rotate, scale and translate with bilinear
    interpolation; colour jitter; RandAugment; cutout. Uncovered pixels and cutouts take the fill colour. The result is
    in [0, 1] again. An option that is off draws no random number.

    Attributes:
        crop: Largest shift, in pixels: the image is padded by it on all sides and cropped back at random.
        flip: Mirror left and right with probability 1/2.
        rotate: Largest angle, in degrees, drawn uniformly from -rotate..rotate.
        scale: Largest relative change of size: factors are uniform in [1 - scale, 1 + scale].
        translate: Largest shift as a part of the image's height and width, uniform.
        fill: Colour of uncovered pixels: "zeros" (black) or "mean" (the mean pixel of the data).
        cutout: Side of a square that is painted over, in pixels; its centre is uniform over the image.
        resized_crop: A random part of the image is stretched to its size.
        color_jitter: Brightness, contrast, saturation and hue change.
        rand_augment: Operations drawn for each image.
    """

    crop: int = 0
    flip: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    translate: float = 0.0
    fill: Literal["zeros", "mean"] = "zeros"
    cutout: int = 0
    resized_crop: ResizedCrop | None = None
    color_jitter: ColorJitter | None = None
    rand_augment: RandAugment | None = None

    def __post_init__(self) -> None:
        for name in ("crop", "cutout"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"{name}={value!r} in Augment must be a number of pixels, an integer >= 0")
        if not isinstance(self.flip, bool):
            raise ValueError(f"flip={self.flip!r} in Augment must be True or False")
        for name, limit in (("rotate", 180.0), ("scale", 0.9), ("translate", 1.0)):
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name}={getattr(self, name)} in Augment must lie in [0, {limit:g}]")
        if self.fill not in ("zeros", "mean"):
            raise ValueError(f"fill={self.fill!r} in Augment must be 'zeros' or 'mean'")
        for name, kind in _PARTS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise ValueError(
                    f"{name}={value!r} in Augment must be a {kind.__name__} or None; "
                    "Augment.from_options takes a mapping"
                )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Augment:
        """Build from plain values, as a configuration file has them.

        Args:
            options: The attributes by name; `resized_crop`, `color_jitter` and `rand_augment` are mappings of their own
                attributes (an empty one for the defaults), or None.

        Returns:
            The same as an `Augment`.

        Raises:
            ValueError: A value is out of range.
        """
        parts = {name: _PARTS[name](**options[name]) for name in _PARTS if isinstance(options.get(name), Mapping)}
        return cls(**{**options, **parts})

    @property
    def active(self) -> bool:
        """Does it change anything?"""
        return self.shifts or self.warps or self.recolours or self.resized_crop is not None or self.cutout > 0

    @property
    def shifts(self) -> bool:
        """Does it move or mirror whole pixels?"""
        return self.crop > 0 or self.flip

    @property
    def warps(self) -> bool:
        """Does it rotate, scale or translate?"""
        return self.rotate > 0 or self.scale > 0 or self.translate > 0

    @property
    def recolours(self) -> bool:
        """Does it jitter colours or draw operations?"""
        return self.rand_augment is not None or (self.color_jitter is not None and self.color_jitter.active)

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
        n, ground = len(images), None if colour is None else to_pixels(colour, scale)
        if self.resized_crop is not None:
            images = self.resized_crop.apply(to_pixels(images, scale), rng).clamp_(0.0, 1.0)
            scale, colour = 1.0, ground
        if self.shifts:
            dy, dx = rng.integers(-self.crop, self.crop + 1, size=(2, n))
            mirrored = rng.random(n) < (0.5 if self.flip else 0.0)
            images = shift_and_mirror(images, dy, dx, mirrored, margin=self.crop, colour=colour)
        pixels = to_pixels(images, scale)
        if self.warps:
            u = rng.uniform(-1.0, 1.0, size=(4, n))
            angle, factor = np.deg2rad(self.rotate) * u[0], 1 + self.scale * u[1]
            pixels = warp(pixels, angle, factor, self.translate * u[2:], colour=ground)
        return self._paint(pixels, rng, ground)

    def _paint(self, pixels: Tensor, rng: np.random.Generator, ground: Tensor | None) -> Tensor:
        n, _, height, width = pixels.shape
        if self.color_jitter is not None:
            pixels = self.color_jitter.apply(pixels, rng)
        if self.rand_augment is not None:
            pixels = self.rand_augment.apply(pixels, rng, colour=ground)
        if self.cutout > 0:
            rows, columns = rng.integers(height, size=n), rng.integers(width, size=n)
            pixels = cutout(pixels, rows, columns, self.cutout, colour=ground)
        return pixels
