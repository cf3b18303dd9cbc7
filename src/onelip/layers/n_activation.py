"""The N-activation: rising, falling, rising, with two learned turning points for each channel."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


def zigzag(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Compute x - 2 low for x < low, -x between, x - 2 high for x >= high: continuous, with slopes 1, -1 and 1.

    Args:
        x: Any tensor.
        low: First turning point, broadcast against `x`.
        high: Second turning point, at least `low`.

    Returns:
        The values.
    """
    return torch.where(x < low, x - 2 * low, torch.where(x < high, -x, x - 2 * high))


@register(
    kind="activation",
    name="n-activation",
    orthogonal=True,
    paper="Prach and Lampert 2023, arXiv:2311.06103",
)
class NActivation(Activation):
    """Turn around twice: slope 1 up to a, -1 from a to b, 1 from b on, with learned a <= b for each channel.

    See `zigzag` for the formula; a and b are the smaller and the larger of two learned numbers. Both start at zero, as
    published, where the map is the identity. The derivative is +-1 everywhere, and each output is rounded once.

    Shape: any, with `channels` on axis `dim`; the output has the shape and precision of the input.

    Args:
        channels: Size of axis `dim`.
        dim: Axis of the channels.
        device: Device of the turning points.
        dtype: Precision of the turning points.

    Raises:
        ValueError: If an argument is not an integer of the right range; in `forward`, if the input has another
            number of channels.
    """

    orthogonal = True

    def __init__(
        self,
        channels: int,
        dim: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(dim)
        self.with_channels(channels)
        self.thresholds = nn.Parameter(torch.zeros(2, channels, device=device, dtype=dtype))

    @classmethod
    def for_channels(cls, channels: int, *, dim: int = 1) -> Self:
        """Build it for a number of channels.

        Args:
            channels: Size of axis `dim`.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        return cls(channels, dim)

    @override
    def forward(self, x: Tensor) -> Tensor:
        after = x.dim() - 1 - self.axis_of(x)
        # Sorting, unlike minimum and maximum, gives equal points different gradients, so that they can part.
        low, high = self.thresholds.sort(0).values.reshape(2, -1, *[1] * after)
        return zigzag(x, low, high).to(x.dtype)
