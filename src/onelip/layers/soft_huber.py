"""SoftHuber: a smooth absolute value."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


def pseudo_huber(x: Tensor, delta: float) -> Tensor:
    """Compute delta (sqrt(1 + (x/delta)^2) - 1), as x^2 / (delta + sqrt(delta^2 + x^2)), without cancellation.

    Args:
        x: Any tensor.
        delta: A positive number.

    Returns:
        The values; near |x| - delta for large x, near x^2 / (2 delta) for small ones.
    """
    return x * (x / (delta + torch.hypot(x, torch.full_like(x, delta))))


@register(
    kind="activation",
    name="soft-huber",
    paper="Charbonnier et al. 1997, IEEE TIP 6(2); as an activation in Orthogonium",
)
class SoftHuber(Activation):
    """Smooth the absolute value: y = delta (sqrt(1 + (x/delta)^2) - 1).

    The derivative x / sqrt(delta^2 + x^2) lies strictly between -1 and 1, so gradients lose norm near zero. Each output
    is rounded a few times.

    Shape: any; the output has the shape of the input.

    Args:
        delta: Where the parabola around zero ends, in units of the input.

    Raises:
        ValueError: If `delta` is not a positive finite number.
    """

    def __init__(self, delta: float = 0.05) -> None:
        super().__init__(1)
        self.delta = _positive(delta)

    @classmethod
    def for_channels(cls, channels: int, *, delta: float = 0.05) -> Self:
        """Build it for a number of channels; any number will do.

        Args:
            channels: Size of axis 1, which `forward` then checks.
            delta: Where the parabola around zero ends.

        Returns:
            The layer.
        """
        return cls(delta).with_channels(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.channels is not None:
            self.axis_of(x)
        return pseudo_huber(x, self.delta)

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, delta={self.delta!r}"


def _positive(delta: Any) -> float:
    if type(delta) not in (int, float) or not (delta > 0 and math.isfinite(delta)):
        raise ValueError(f"delta={delta!r} in SoftHuber must be a positive finite number")
    return float(delta)
