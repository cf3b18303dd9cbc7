"""Labelled images, in memory or not, and the data set that two such parts make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor


class DataError(ValueError):
    """Data that cannot be had or cannot be read: a missing, broken or unverified file, or no network."""


def to_pixels(stored: Tensor, scale: float) -> Tensor:
    """Convert stored values to pixels.

    Args:
        stored: uint8 or floating point of any shape.
        scale: Stored value of a pixel of 1.

    Returns:
        `stored / scale`, floating point (float32 for uint8), a new tensor.
    """
    if not stored.is_floating_point():
        return stored.to(torch.float32).div_(scale)
    return stored / scale


class Images(Protocol):
    """Labelled images of one shape, wherever they are kept: in memory (`ImageData`) or on disk (`StreamedImages`)."""

    @property
    def labels(self) -> Tensor:
        """`(N,)` int64 class indices, >= 0."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, H, W)` of one image."""

    @property
    def scale(self) -> float:
        """The stored value of a pixel of 1."""

    def __len__(self) -> int: ...

    def pixels(self, index: Tensor | slice = ...) -> Tensor:
        """Return images as `(B, C, H, W)` float32 in [0, 1]; all by default."""

    def subset(self, index: Tensor | slice) -> Self:
        """Keep some of the images, in the order of `index`."""

    def in_memory(self) -> ImageData:
        """Read all images."""

    def channel_mean(self) -> tuple[float, ...]:
        """Return the mean pixel of each channel."""

    def channel_std(self) -> tuple[float, ...]:
        """Return the standard deviation of each channel."""


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images held in memory; a pixel is `images / scale` in [0, 1].

    Attributes:
        images: `(N, C, H, W)`, uint8 stored values, or float32 in pixel units (then `scale` is 1).
        labels: `(N,)` int64 class indices, >= 0.
        scale: The stored value of a pixel of 1 (255 for ordinary bytes, 16 for the digits).
    """

    images: Tensor
    labels: Tensor
    scale: float

    def __post_init__(self) -> None:
        if self.images.dim() != 4:
            raise ValueError(f"images has shape {tuple(self.images.shape)}; it must be (N, C, H, W)")
        if self.images.dtype not in (torch.uint8, torch.float32):
            raise ValueError(f"images has dtype {self.images.dtype}; it must be torch.uint8 or torch.float32")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels has dtype {self.labels.dtype} and shape {tuple(self.labels.shape)}; "
                f"it must be torch.int64 of shape ({len(self.images)},), one per image"
            )
        if not self.scale > 0:
            raise ValueError(f"scale={self.scale} is not the stored value of a white pixel; it must be > 0")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, H, W)` of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def pixels(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Return images in pixel units.

        Args:
            index: Which images: `(B,)` int64 indices or a slice; all by default.

        Returns:
            `(B, C, H, W)` float32 in [0, 1], on the device of the images.
        """
        return to_pixels(self.images[index], self.scale)

    def subset(self, index: Tensor | slice) -> ImageData:
        """Keep some of the images.

        Args:
            index: Which images: `(B,)` int64 indices or a slice.

        Returns:
            Those images with their labels, in the order of `index`.
        """
        return ImageData(self.images[index], self.labels[index], self.scale)

    def in_memory(self) -> ImageData:
        """Return the images as they are, in memory already.

        Returns:
            Itself.
        """
        return self

    def to(self, device: str | torch.device) -> ImageData:
        """Move the images and labels to a device.

        Args:
            device: A torch device or its name.

        Returns:
            The same data there (itself where it is there already).
        """
        images, labels = self.images.to(device), self.labels.to(device)
        return self if images is self.images and labels is self.labels else ImageData(images, labels, self.scale)

    def channel_mean(self) -> tuple[float, ...]:
        """Return the mean pixel of each channel, to be subtracted by a network's first layer.

        Returns:
            `C` numbers in pixel units, summed in exact integers or float64.
        """
        dtype = torch.int64 if self.images.dtype == torch.uint8 else torch.float64
        n_values = self.images.numel() // self.images.shape[1]
        sums = self.images.sum(dim=(0, 2, 3), dtype=dtype)
        return tuple(float(total) / n_values / self.scale for total in sums)

    def channel_std(self) -> tuple[float, ...]:
        """Return the standard deviation of each channel over all images and positions.

        Returns:
            `C` numbers in pixel units, of the population (divided by the number of values).
        """
        return tuple(_deviation(self.images[:, c].flatten()) / self.scale for c in range(self.images.shape[1]))


@dataclass(frozen=True, eq=False)
class DataSet:
    """Training and test images of one classification problem.

    Attributes:
        name: Registered name.
        train: Images to learn and to select models from.
        test: Images to report on, never used for a choice.
        classes: Class names; the label of an image is an index into them.
        source: Where the data comes from and under which terms, in one line.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        for part, data in (("train", self.train), ("test", self.test)):
            if len(data) == 0:
                raise DataError(f"the {part} part of {self.name} is empty; it needs at least one image")
            low, high = int(data.labels.min()), int(data.labels.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"the {part} labels of {self.name} range from {low} to {high}; "
                    f"with {len(self.classes)} classes they must lie in 0..{len(self.classes) - 1}"
                )
        if self.train.shape != self.test.shape or self.train.scale != self.test.scale:
            raise DataError(
                f"{self.name} has training images of shape {self.train.shape} and scale {self.train.scale:g}, "
                f"test images of shape {self.test.shape} and scale {self.test.scale:g}; both must agree"
            )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(C, H, W)` of one image."""
        return self.train.shape

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)


def _deviation(values: Tensor) -> float:
    if values.dtype != torch.uint8:
        return float(values.double().std(correction=0))
    # By how often each value occurs: exact sums, and no copy of the images in float64.
    counts = torch.bincount(values, minlength=256).double()
    stored = torch.arange(256, dtype=torch.float64, device=counts.device)
    mean = (counts @ stored) / counts.sum()
    return float(((counts @ (stored - mean).square()) / counts.sum()).sqrt())
