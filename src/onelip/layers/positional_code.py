"""A learned image that is added to every input, so that later layers know where a pixel is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import checked_pair, positive_int
from onelip.layers.leaf import PlainLayer


class PositionalCode2d(PlainLayer):
    """y = x + p with a learned p of the size of one image, zero at first. A translation: its constant is exactly 1.

    Shape: `(N, channels, H, W)` or `(channels, H, W)` to the same, for images of `image_size` only.

    Args:
        channels: Channels of the input.
        image_size: An int or (height, width).
        device: Device of the parameter.
        dtype: Its precision.

    Raises:
        ValueError: If an argument is not allowed; in `forward`, if the image has another shape.

    Paper: Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt).
    """

    def __init__(
        self,
        channels: int,
        image_size: int | tuple[int, int],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        size = checked_pair(owner, "image_size", image_size, 1)
        shape = (positive_int(owner, "channels", channels), *size)
        self.code = nn.Parameter(torch.zeros(shape, device=device, dtype=dtype))

    @override
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-3:] != self.code.shape:
            raise ValueError(
                f"input of shape {tuple(x.shape)} in {type(self).__name__} must be images of shape "
                f"{tuple(self.code.shape)}, which the code was made for"
            )
        return x + self.code

    @override
    def extra_repr(self) -> str:
        return f"{self.code.shape[0]}, image_size={tuple(self.code.shape[1:])}"
