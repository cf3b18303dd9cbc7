"""The layer methods that a network is built with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from onelip import layers
from onelip.linalg import unknown_name

PLAIN = "plain"
"""Name of torch's own unconstrained layers, the baseline of every comparison."""

_ORTHOGONAL_DENSE = "bjorck"


@dataclass(frozen=True)
class Methods:
    """Builds the layers of one network.

    Args:
        model: Name of the model, for messages.
        layer: Method of the convolutions; a network without any reads it as the method of its dense layers.
        linear: Method of the dense layers, or None for the partner of `layer`.
        activation: Name of the activation.

    Raises:
        ValueError: If a name is unknown.
    """

    model: str
    layer: str
    linear: str | None
    activation: str

    def __post_init__(self) -> None:
        convolutions, dense = set(layers.available("conv2d")), set(layers.available("linear"))
        if self.layer not in convolutions | dense | {PLAIN}:
            raise ValueError(unknown_name("layer", self.layer, convolutions | dense | {PLAIN}))
        if self.linear is not None and self.linear not in dense | {PLAIN}:
            raise ValueError(unknown_name("linear layer", self.linear, dense | {PLAIN}))
        layers.record("activation", self.activation)

    @property
    def dense_method(self) -> str:
        """Name of the method of the dense layers."""
        if self.linear is not None:
            return self.linear
        same = self.layer == PLAIN or self.layer in layers.available("linear")
        return self.layer if same else _ORTHOGONAL_DENSE

    def conv(self, in_channels: int, out_channels: int, kernel_size: int) -> nn.Module:
        """Build a convolution that keeps the size of the image, circular where the method allows it.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the output.
            kernel_size: Height and width of the kernel.

        Returns:
            The layer.

        Raises:
            ValueError: If the method has no convolution.
        """
        size = {"padding": "same"}
        if self.layer == PLAIN:
            return nn.Conv2d(in_channels, out_channels, kernel_size, padding="same", padding_mode="circular")
        if self.layer not in layers.available("conv2d"):
            raise ValueError(
                f"layer={self.layer!r} has no convolution, which model {self.model!r} needs; "
                f"use one of {', '.join(layers.available('conv2d'))}"
            )
        paddings = layers.record("conv2d", self.layer).paddings
        mode = "circular" if "circular" in paddings else paddings[0]
        return layers.conv2d(self.layer, in_channels, out_channels, kernel_size, padding_mode=mode, **size)

    def dense(self, in_features: int, out_features: int, method: str | None = None) -> nn.Module:
        """Build a dense layer.

        Args:
            in_features: Size of the input.
            out_features: Size of the output.
            method: Another method than the network's, or None.

        Returns:
            The layer.

        Raises:
            ValueError: If the method is unknown.
        """
        chosen = method or self.dense_method
        if chosen == PLAIN:
            return nn.Linear(in_features, out_features)
        return layers.linear(chosen, in_features, out_features)

    def act(self, channels: int) -> nn.Module:
        """Build an activation.

        Args:
            channels: Channels it acts on.

        Returns:
            The layer.
        """
        return layers.activation(self.activation, channels)
