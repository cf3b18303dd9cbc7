"""ReLU under the same interface as the other activations."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


@register(kind="activation", name="relu", paper="Nair and Hinton 2010, ICML")
class ReLU(Activation):
    """Replace negative entries by zero. 1-Lipschitz, but gradients lose norm; its plain form is `nn.ReLU`.

    Shape: any; the output has the shape of the input.
    """

    def __init__(self) -> None:
        super().__init__(1)

    @classmethod
    def for_channels(cls, channels: int) -> Self:
        """Build it for a number of channels; any number will do.

        Args:
            channels: Size of axis 1, which `forward` then checks.

        Returns:
            The layer.
        """
        return cls().with_channels(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.channels is not None:
            self.axis_of(x)
        return torch.relu(x)

    @override
    def to_plain(self) -> nn.Module:
        return nn.ReLU().eval()
