"""RandAugment: a few operations, drawn at random for each image, at one strength for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from onelip.data import colour as colours
from onelip.data.geometry import Floats, Integers, move_to_nearest

# Largest change of the factors of brightness, colour, contrast and sharpness.
_FACTOR = 0.9
# Largest part of width and height by which an image moves.
_TRANSLATION = 150 / 331


def _stretch(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, float], Tensor]:
    return lambda images, sign, strength: change(images, 1 + _FACTOR * strength * sign)


_MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
_COLOURS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "Brightness": _stretch(colours.brightness),
    "Color": _stretch(colours.saturation),
    "Contrast": _stretch(colours.contrast),
    "Sharpness": _stretch(colours.sharpness),
    "Posterize": lambda images, sign, strength: colours.posterize(images, 8 - round(4 * strength)),
    "Solarize": lambda images, sign, strength: colours.solarize(images, 255 * (1 - strength)),
    "AutoContrast": lambda images, sign, strength: colours.autocontrast(images),
    "Equalize": lambda images, sign, strength: colours.equalize(images),
}
OPERATIONS = ("Identity", *_MOVES, *_COLOURS)
"""Names of the operations, in the order of the random numbers that choose them."""


@dataclass(frozen=True)
class RandAugment:
    """Operations drawn for each image, uniformly and with replacement, one after the other.

    With strength s = magnitude / (num_magnitude_bins - 1) and a sign e = +-1 of the image's own:

    | operation | what it does |
    |---|---|
    | Identity | nothing |
    | ShearX, ShearY | moves a pixel by 0.3 s e times its distance from the top (left) edge |
    | TranslateX, TranslateY | moves by floor(150/331 s W) (H) pixels, right (down) for e = 1 |
    | Rotate | turns by 30 s e degrees about the centre |
    | Brightness, Color, Contrast, Sharpness | factor 1 + 0.9 s e |
    | Posterize | keeps 8 - round(4 s) bits |
    | Solarize | inverts bytes from 255 (1 - s) up |
    | AutoContrast, Equalize | see `onelip.data.colour` |

    Operations that move pixels take the nearest one. These are the ranges that torchvision gives the name; the paper
    leaves them to the code.

    Attributes:
        num_ops: Operations on an image, >= 1.
        magnitude: Strength, 0..num_magnitude_bins - 1.
        num_magnitude_bins: Number of strengths, >= 2.
        probability: Share of the images that are changed at all, in (0, 1].

    Paper:
        Cubuk et al. 2019, arXiv:1909.13719.
    """

    num_ops: int = 2
    magnitude: int = 9
    num_magnitude_bins: int = 31
    probability: float = 1.0

    def __post_init__(self) -> None:
        for name, low in (("num_ops", 1), ("magnitude", 0), ("num_magnitude_bins", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ValueError(f"{name}={value!r} in RandAugment must be an integer >= {low}")
        if self.magnitude >= self.num_magnitude_bins:
            raise ValueError(
                f"magnitude={self.magnitude} in RandAugment must be below num_magnitude_bins={self.num_magnitude_bins}"
            )
        if not 0 < self.probability <= 1:
            raise ValueError(f"probability={self.probability} in RandAugment must lie in (0, 1]")

    @property
    def strength(self) -> float:
        """The magnitude as a part of the largest one, in [0, 1]."""
        return self.magnitude / (self.num_magnitude_bins - 1)

    def apply(self, images: Tensor, rng: np.random.Generator, *, colour: Tensor | None = None) -> Tensor:
        """Change images at random.

        Args:
            images: `(B, C, H, W)` in [0, 1], of 1 or 3 channels.
            rng: Source of all random numbers.
            colour: `(C,)` colour of uncovered pixels; black by default.

        Returns:
            `(B, C, H, W)` in [0, 1], a new tensor.
        """
        n = len(images)
        images = images.clone()
        changed = rng.random(n) < self.probability
        for _ in range(self.num_ops):
            operation = np.where(changed, rng.integers(len(OPERATIONS), size=n), 0)
            sign = 2 * rng.integers(2, size=n) - 1
            operate_(images, operation, sign, self.strength, colour=colour)
        return images


def operate_(
    images: Tensor, operation: Integers, sign: Integers, strength: float, *, colour: Tensor | None = None
) -> None:
    """Change each image by one operation, in place.

    Args:
        images: `(B, C, H, W)` in [0, 1], of 1 or 3 channels; images of the operation Identity are not touched.
        operation: `(B,)` indices into `OPERATIONS`.
        sign: `(B,)` of -1 and 1.
        strength: In [0, 1].
        colour: `(C,)` colour of uncovered pixels; black by default.
    """
    colours.check_channels(images, "RandAugment")
    # One gather moves all that are moved.
    rows = np.flatnonzero((operation > 0) & (operation <= len(_MOVES)))
    if len(rows):
        inverse = _inverse_maps(
            operation[rows] - 1, sign[rows].astype(np.float64) * strength, images.shape[2], images.shape[3]
        )
        index = torch.from_numpy(rows).to(images.device)
        images[index] = move_to_nearest(images[index], inverse, colour=colour)
    for number, change in enumerate(_COLOURS.values(), start=1 + len(_MOVES)):
        rows = np.flatnonzero(operation == number)
        if len(rows):
            index = torch.from_numpy(rows).to(images.device)
            images[index] = change(images[index], torch.from_numpy(sign[rows]).to(images), strength)


def _inverse_maps(move: Integers, level: Floats, height: int, width: int) -> Floats:
    """Return `(B, 2, 3)` maps from points of the output to points of the input, in pixels right and down."""
    shear_x, shear_y, right, down, turn = (np.where(move == k, level, 0.0) for k in range(len(_MOVES)))
    angle = np.deg2rad(30 * turn)
    maps = np.zeros((len(move), 2, 3))
    maps[:, 0, 0] = maps[:, 1, 1] = np.cos(angle)
    maps[:, 0, 1] = 0.3 * shear_x - np.sin(angle)
    maps[:, 1, 0] = 0.3 * shear_y + np.sin(angle)
    # Truncation towards zero: the same distance for both signs.
    maps[:, 0, 2] = -np.trunc(_TRANSLATION * right * width)
    maps[:, 1, 2] = -np.trunc(_TRANSLATION * down * height)
    centre = np.array([width / 2, height / 2])
    about_centre = centre - maps[:, :, :2] @ centre
    maps[:, :, 2] += np.where((move == _MOVES.index("Rotate"))[:, None], about_centre, 0.0)
    return maps
