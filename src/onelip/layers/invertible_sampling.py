"""Trade image size against channels and back: permutations of the entries."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.layers.conv_arguments import Pair, checked_pair
from onelip.layers.leaf import PlainLayer
from onelip.layers.registry import register

_PAPER = "Jacobsen, Smeulders and Oyallon 2018, arXiv:1802.07088, section 2"


def blocks_to_channels(x: Tensor, block: Pair) -> Tensor:
    """Move blocks of pixels into channels.

    Args:
        x: `(..., C, H, W)`.
        block: (h, w), divisors of H and W.

    Returns:
        `(..., C h w, H/h, W/w)`.
    """
    (h, w), (height, width) = block, x.shape[-2:]
    blocks = x.unflatten(-1, (width // w, w)).unflatten(-3, (height // h, h))
    # (..., C, H/h, h, W/w, w) -> (..., C, h, w, H/h, W/w)
    return blocks.movedim((-3, -1), (-4, -3)).flatten(-5, -3)


@register(kind="pool", name="invertible-down", orthogonal=True, paper=_PAPER)
class InvertibleDownsampling2d(PlainLayer):
    """Move each block of (h, w) pixels into channels, as `nn.PixelUnshuffle` does; blocks may be oblong.

    Output channel c h w + i w + j at pixel (u, v) is input channel c at pixel (u h + i, v w + j). A permutation: the
    constant is 1 in floating point too.

    Shape: `(..., C, H, W)` to `(..., C h w, H/h, W/w)`.

    Args:
        kernel_size: The block, an int or (h, w).

    Raises:
        ValueError: If a size is not a positive integer; in `forward`, if it does not divide the image.
    """

    orthogonal = True

    def __init__(self, kernel_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.kernel_size = checked_pair("InvertibleDownsampling2d", "kernel_size", kernel_size, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        (h, w), (height, width) = self.kernel_size, x.shape[-2:]
        if height % h or width % w:
            raise ValueError(
                f"kernel_size={self.kernel_size} in InvertibleDownsampling2d does not divide the image {height}x{width}"
            )
        return blocks_to_channels(x, self.kernel_size)

    @override
    def extra_repr(self) -> str:
        return f"{self.kernel_size}"


@register(kind="pool", name="invertible-up", orthogonal=True, paper=_PAPER)
class InvertibleUpsampling2d(PlainLayer):
    """Move channels into blocks of (h, w) pixels: the inverse of `InvertibleDownsampling2d`.

    Shape: `(..., C h w, H, W)` to `(..., C, H h, W w)`.

    Args:
        kernel_size: The block, an int or (h, w).

    Raises:
        ValueError: If a size is not a positive integer; in `forward`, if h w does not divide the channels.
    """

    orthogonal = True

    def __init__(self, kernel_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.kernel_size = checked_pair("InvertibleUpsampling2d", "kernel_size", kernel_size, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        (h, w), channels = self.kernel_size, x.shape[-3]
        if channels % (h * w):
            raise ValueError(
                f"kernel_size={self.kernel_size} in InvertibleUpsampling2d does not divide the {channels} channels"
            )
        blocks = x.unflatten(-3, (channels // (h * w), h, w))
        # (..., C, h, w, H, W) -> (..., C, H, h, W, w)
        return blocks.movedim((-4, -3), (-3, -1)).flatten(-2, -1).flatten(-3, -2)

    @override
    def extra_repr(self) -> str:
        return f"{self.kernel_size}"
