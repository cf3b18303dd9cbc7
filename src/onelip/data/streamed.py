"""Labelled images that stay on disk and are decoded when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from onelip.data.image_files import Bytes, n_processors, opened, read_all
from onelip.data.images import ImageData, to_pixels

ChooseBox: TypeAlias = Callable[[int, int], tuple[int, int, int, int]]
"""Chooses a part of an image of a height and width: its top, left, height and width, in pixels."""

# Images that stand for all when the mean and deviation of channels are estimated.
_SAMPLE = 1024
# `PIL.Image.Resampling.BILINEAR`, without importing Pillow: over as many pixels as it takes when shrinking.
_BILINEAR = 2


@dataclass(frozen=True, eq=False)
class StreamedImages:
    """Labelled image files, decoded when they are wanted; a pixel is a decoded byte / 255.

    An image is resized, with an antialiasing bilinear filter, such that its shorter side is `resize`, and the central
    `size x size` pixels are kept. Grey images become RGB, transparency is dropped.

    Attributes:
        root: The folder that the names of files start from.
        files: `N` names of image files.
        labels: `(N,)` int64 class indices, >= 0.
        size: Height and width of an image, in pixels.
        resize: Length of the shorter side before the centre is cut out, >= size.
        threads: How many files are decoded at the same time; None for one a processor.
        statistics: Mean and standard deviation of each channel, in pixel units, where they are known; None to estimate
            them from 1,024 of the images, drawn with a fixed seed.

    Raises:
        ValueError: An argument is out of range.
    """

    root: Path
    files: Sequence[str]
    labels: Tensor
    size: int = 224
    resize: int = 256
    threads: int | None = None
    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("resize", self.size), ("threads", 1)):
            value: Any = getattr(self, name)
            if name == "threads" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name}={value!r} in StreamedImages must be an integer >= {least}")
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.files),):
            raise ValueError(
                f"labels has dtype {self.labels.dtype} and shape {tuple(self.labels.shape)}; "
                f"it must be torch.int64 of shape ({len(self.files)},), one per file"
            )

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, H, W)` of one image."""
        return 3, self.size, self.size

    @property
    def scale(self) -> float:
        """The stored value of a pixel of 1."""
        return 255.0

    @property
    def n_threads(self) -> int:
        """How many files are decoded at the same time."""
        return n_processors() if self.threads is None else self.threads

    def read(self, number: int, box: ChooseBox | None = None) -> Bytes:
        """Decode one image.

        Args:
            number: Which, from 0.
            box: Chooses the part of the whole image that is resized to `size x size`; None for the centre, as above.

        Returns:
            `(size, size, 3)` uint8.

        Raises:
            DataError: The file is missing, broken or truncated.
        """
        with opened(self.root / self.files[number]) as image:
            if box is None:
                return _centre(image, self.resize, self.size)
            return _part(image, box(image.height, image.width), self.size)

    def stored(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Decode images.

        Args:
            index: Which images: `(B,)` int64 indices or a slice; all by default.

        Returns:
            `(B, C, H, W)` uint8.
        """
        numbers = torch.arange(len(self))[index].tolist()
        images = np.empty((len(numbers), *self.shape), np.uint8)
        read_all(len(numbers), lambda i: self.read(numbers[i]), images, self.n_threads)
        return torch.from_numpy(images)

    def pixels(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Return images in pixel units.

        Args:
            index: Which images: `(B,)` int64 indices or a slice; all by default.

        Returns:
            `(B, C, H, W)` float32 in [0, 1].
        """
        return to_pixels(self.stored(index), self.scale)

    def subset(self, index: Tensor | slice) -> StreamedImages:
        """Keep some of the images.

        Args:
            index: Which images: `(B,)` int64 indices or a slice.

        Returns:
            Those images with their labels, in the order of `index`.
        """
        numbers = torch.arange(len(self))[index].tolist()
        return replace(self, files=tuple(self.files[i] for i in numbers), labels=self.labels[index])

    def in_memory(self) -> ImageData:
        """Decode all images and keep them.

        Returns:
            The same images in memory, `3 * size * size` bytes each.
        """
        return ImageData(self.stored(), self.labels, self.scale)

    def channel_mean(self) -> tuple[float, ...]:
        """Return the mean pixel of each channel, known or estimated.

        Returns:
            `C` numbers in pixel units.
        """
        return self._mean_and_std[0]

    def channel_std(self) -> tuple[float, ...]:
        """Return the standard deviation of each channel over images and positions, known or estimated.

        Returns:
            `C` numbers in pixel units.
        """
        return self._mean_and_std[1]

    @cached_property
    def _mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.statistics is not None:
            return self.statistics
        drawn = np.random.default_rng(0).permutation(len(self))[:_SAMPLE]
        sample = self.subset(torch.from_numpy(np.sort(drawn))).in_memory()
        return sample.channel_mean(), sample.channel_std()


# The longer side is rounded down and the margins as Python rounds: what networks on ImageNet are evaluated on.
def _centre(image: Any, resize: int, size: int) -> Bytes:
    shorter = min(image.width, image.height)
    width, height = (resize * side // shorter for side in (image.width, image.height))
    left, top = (round((side - size) / 2) for side in (width, height))
    whole = image.convert("RGB").resize((width, height), _BILINEAR)
    return np.asarray(whole.crop((left, top, left + size, top + size)))


def _part(image: Any, box: tuple[int, int, int, int], size: int) -> Bytes:
    top, left, height, width = box
    before = image.size
    # JPEG decodes faster to a half, a quarter or an eighth; never to less than what is to be seen.
    image.draft(None, (-(-before[0] * size // width), -(-before[1] * size // height)))
    x, y = image.width / before[0], image.height / before[1]
    edges = np.array([left * x, top * y, (left + width) * x, (top + height) * y])
    # The filter is not to see pixels outside of the box.
    outer = np.array([*np.floor(edges[:2]), *np.ceil(edges[2:])]).astype(int)
    cut = image.crop(tuple(outer.tolist())).convert("RGB")
    return np.asarray(cut.resize((size, size), _BILINEAR, box=tuple((edges - np.tile(outer[:2], 2)).tolist())))
