"""How a convolution with any padding and stride is a circular map between smaller images with more channels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor, nn

from onelip.layers.conv_arguments import ConvArguments, Pair
from onelip.layers.invertible_sampling import InvertibleDownsampling2d, blocks_to_channels

Sides = tuple[int, int, int, int]


@dataclass(frozen=True)
class FourierGrid:
    """A convolution of images of one size as a circular map of stride 1.

    Zeros are put around the image, blocks of pixels are moved into channels, a circular map acts, and a part of its
    output is kept. None of the other steps can stretch. With circular padding the image itself is the circle; zeros
    make it larger where the padding is zeros, so that nothing wraps that a zero-padded convolution would not see.

    Attributes:
        border: Zeros put around the image (left, right, top, bottom).
        block: Pixels moved into channels, the stride.
        size: Height and width of the circle, in blocks.
        crop: Rows and columns cut off the output, as zeros or negative numbers (left, right, top, bottom).
    """

    border: Sides
    block: Pair
    size: Pair
    crop: Sides

    def enter(self, x: Tensor) -> Tensor:
        """Take an image to the circle.

        Args:
            x: `(..., C, H, W)`.

        Returns:
            `(..., C s_h s_w, *size)`.
        """
        x = F.pad(x, self.border) if any(self.border) else x
        return x if self.block == (1, 1) else blocks_to_channels(x, self.block)

    def leave(self, y: Tensor) -> Tensor:
        """Keep the part of the output that the convolution returns.

        Args:
            y: `(..., out, *size)`.

        Returns:
            `(..., out, H', W')`.
        """
        return F.pad(y, self.crop) if any(self.crop) else y

    def around(self, core: nn.Module) -> nn.Module:
        """Put the same steps around a plain module that acts on the circle.

        Args:
            core: The module.

        Returns:
            The plain convolution, in eval mode.
        """
        before = [nn.ZeroPad2d(self.border)] if any(self.border) else []
        blocks = [InvertibleDownsampling2d(self.block)] if self.block != (1, 1) else []
        after = [nn.ZeroPad2d(self.crop)] if any(self.crop) else []
        parts = [*before, *blocks, core, *after]
        return core if len(parts) == 1 else nn.Sequential(*parts).eval()


def origin_of(arguments: ConvArguments) -> Pair:
    """The pixel from which the taps of a kernel are counted on the circle.

    It is in the middle of the kernel up to a block, so that a constraint that favours the identity favours what is
    near: the shift that is left to the padding of the convolution is made by `FourierGrid.crop`.

    Args:
        arguments: Those of the convolution.

    Returns:
        (row, column).
    """
    vertical, horizontal = (axis.origin for axis in _axes(arguments))
    return vertical, horizontal


def covers(arguments: ConvArguments) -> bool:
    """Does the convolution return the whole output of the circular map, and only for whole blocks?

    Then it is an isometry if the map is one: circular padding by the whole reach of the kernel, or none needed.

    Args:
        arguments: Those of the convolution.

    Returns:
        The answer, for images that the stride divides.
    """
    return all(axis.covers for axis in _axes(arguments))


def fourier_grid(arguments: ConvArguments, height: int, width: int) -> FourierGrid:
    """Find the circular map for images of one size.

    Args:
        arguments: Those of the convolution.
        height: Height of the image.
        width: Width of the image.

    Returns:
        The map's place.

    Raises:
        ValueError: If no output pixel is left, or the stride does not divide an image with circular padding.
    """
    replace(arguments, wraps=True).check_image(height, width)
    (top, bottom, rows, above, below), (left, right, columns, before, after) = (
        axis.placed(size) for axis, size in zip(_axes(arguments), (height, width), strict=True)
    )
    return FourierGrid((left, right, top, bottom), arguments.stride, (rows, columns), (before, after, above, below))


@dataclass(frozen=True)
class _Axis:
    before: int
    after: int
    extent: int
    stride: int
    circular: bool

    @property
    def wraps(self) -> bool:
        return self.circular and self.before + self.after > 0

    @property
    def skipped(self) -> int:
        # Blocks from the first one of the circle to the one that the first output is centred on.
        return ((self.extent - 1) // 2 - (self.before if self.wraps else 0)) // self.stride

    @property
    def origin(self) -> int:
        return (self.before if self.wraps else 0) + self.skipped * self.stride

    @property
    def covers(self) -> bool:
        if self.wraps:
            return self.before + self.after >= self.extent - self.stride
        return self.before + self.after == 0 and self.extent <= self.stride

    def placed(self, size: int) -> tuple[int, int, int, int, int]:
        padded = size + self.before + self.after
        kept = (padded - self.extent) // self.stride + 1
        border = (0, 0) if self.wraps else (self.before, self.after + -padded % self.stride)
        circle = (size + sum(border)) // self.stride
        return *border, circle, -self.skipped, kept + self.skipped - circle


def _axes(a: ConvArguments) -> tuple[_Axis, _Axis]:
    left, right, top, bottom = a.pads
    circular = a.padding_mode == "circular"
    return (
        _Axis(top, bottom, a.extent[0], a.stride[0], circular),
        _Axis(left, right, a.extent[1], a.stride[1], circular),
    )
