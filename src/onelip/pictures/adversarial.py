"""Images beside the nearest images that a classifier takes for something else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from onelip.pictures.canvas import drawable, mosaic, save
from onelip.pictures.colours import ATTACK, INK, PROVED, difference_picture

_COLUMNS = 3
"""Triples of pictures beside each other."""

_SPACE = 0.3
_WIDTH, _HEIGHT = 3.12 + _SPACE, 1.5
"""Inches from one triple to the next, with room for two lines of words."""


@dataclass(frozen=True, eq=False)
class AdversarialImages:
    """Images and what an attack made of them.

    Attributes:
        images: `(N, C, H, W)` pixels in [0, 1].
        adversarial: `(N, C, H, W)` the images that are taken for something else.
        before: Name of the class of each image.
        after: Name of the class that the other image is taken for.
        distances: Their distances, in pixels; an infinite one means that none was found.
        certified: Certified radius of each image; None where there is no certificate.
        norm: Norm of distances and radii.
    """

    images: Tensor
    adversarial: Tensor
    before: tuple[str, ...]
    after: tuple[str, ...]
    distances: tuple[float, ...]
    certified: tuple[float, ...] | None = None
    norm: str = "l2"

    def plot(self, path: str | Path) -> None:
        """Draw image, adversarial image and amplified difference of each, with the numbers; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.

        Raises:
            ValueError: If there is no image.
        """
        if len(self.images) == 0:
            raise ValueError("images in AdversarialImages has none to draw")
        wide = min(_COLUMNS, len(self.images))
        placed, words = [], []
        for k in range(len(self.images)):
            left, top = 0.15 + _WIDTH * (k % _COLUMNS), 0.15 + _HEIGHT * (k // _COLUMNS)
            pictures, gain = self._pictures(k)
            placed += [(drawable(picture), left + 1.06 * j, top) for j, picture in enumerate(pictures)]
            words.append((left, top, gain))
        rows = -(-len(self.images) // _COLUMNS)
        axes = mosaic(placed, 0.3 + _WIDTH * wide - _SPACE, 0.15 + _HEIGHT * rows)
        for k, (left, top, gain) in enumerate(words):
            self._write(axes, k, left, top, gain)
        save(axes.figure, path)

    def _pictures(self, k: int) -> tuple[list[Tensor], float]:
        if not math.isfinite(self.distances[k]):
            return [self.images[k]], 1.0
        difference, gain = difference_picture(self.images[k], self.adversarial[k])
        return [self.images[k], self.adversarial[k], difference], gain

    def _write(self, axes: Any, k: int, left: float, top: float, gain: float) -> None:
        found = math.isfinite(self.distances[k])
        gained = f"\N{MULTIPLICATION SIGN}{gain:.2g}" if found else ""
        words = [self.before[k], self.after[k] if found else "none found", gained]
        for j, word in enumerate(words):
            axes.text(left + 1.06 * j, top + 1.03, word[:14], va="top", fontsize=8, color=INK)
        if self.certified is not None:
            axes.text(left, top + 1.18, f"certified {_down(self.certified[k])}", va="top", fontsize=8, color=PROVED)
        if found:
            text = f"changed at {self.distances[k]:.3f}"
            axes.text(left + 3.12, top + 1.18, text, va="top", ha="right", fontsize=8, color=ATTACK)


# What is certified is never rounded up.
def _down(radius: float) -> str:
    return f"{math.floor(1000 * radius) / 1000:.3f}" if math.isfinite(radius) else str(radius)
