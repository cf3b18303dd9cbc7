"""Leaky ReLU with a fixed slope, under the same interface as the other activations."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


@register(kind="activation", name="leaky-relu", paper="Maas, Hannun and Ng 2013, ICML workshop")
class LeakyReLU(Activation):
    """Multiply negative entries by a fixed slope a: y = max(0, x) + a min(0, x).

    The constant is 1; its plain form is `nn.LeakyReLU`. The usual activation of the critics of WGAN and WGAN-GP, with
    a = 0.2; `LPReLU` learns the slope.

    Shape: any; the output has the shape of the input.

    Args:
        negative_slope: a, in [0, 1].

    Raises:
        ValueError: If the slope is not a number in [0, 1].
    """

    def __init__(self, negative_slope: float = 0.2) -> None:
        super().__init__(1)
        if type(negative_slope) not in (int, float) or not 0 <= negative_slope <= 1:
            raise ValueError(f"negative_slope={negative_slope!r} in LeakyReLU must be a number in [0, 1]")
        self.negative_slope = float(negative_slope)

    @classmethod
    def for_channels(cls, channels: int, *, negative_slope: float = 0.2) -> Self:
        """Build it for a number of channels; any number will do.

        Args:
            channels: Size of axis 1, which `forward` then checks.
            negative_slope: a, in [0, 1].

        Returns:
            The layer.
        """
        return cls(negative_slope).with_channels(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.channels is not None:
            self.axis_of(x)
        return functional.leaky_relu(x, self.negative_slope)

    @override
    def to_plain(self) -> nn.Module:
        return nn.LeakyReLU(self.negative_slope).eval()

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, negative_slope={self.negative_slope!r}"
