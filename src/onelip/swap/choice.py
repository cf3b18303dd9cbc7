"""Which methods a network's layers are swapped for."""

from __future__ import annotations

from dataclasses import dataclass

from onelip import layers
from onelip.layers import LayerRecord
from onelip.layers.registry import Kind
from onelip.linalg import unknown_name

CONVOLUTIONS: tuple[Kind, ...] = ("conv1d", "conv2d", "conv_transpose2d")
PADDINGS = ("circular", "zeros")


@dataclass(frozen=True)
class Choice:
    """The methods asked for, None for parts that are to stay.

    Attributes:
        conv: Registered convolution.
        linear: Registered dense layer.
        activation: Registered activation.
        padding: Padding mode of convolutions; None keeps each one's own.
    """

    conv: str | None
    linear: str | None
    activation: str | None
    padding: str | None

    def __post_init__(self) -> None:
        known = {name for kind in CONVOLUTIONS for name in layers.available(kind)}
        if self.conv is not None and self.conv not in known:
            raise ValueError(unknown_name("convolution", self.conv, known))
        if self.linear is not None:
            layers.record("linear", self.linear)
        if self.activation is not None:
            layers.record("activation", self.activation)
        self._check_padding()

    def _check_padding(self) -> None:
        if self.padding is None:
            return
        if self.padding not in PADDINGS:
            raise ValueError(unknown_name("padding mode", self.padding, PADDINGS))
        if self.conv in layers.available("conv2d"):
            allowed = layers.record("conv2d", self.conv).paddings
            if self.padding not in allowed:
                raise ValueError(
                    f"padding={self.padding!r} is not allowed by conv={self.conv!r}; use "
                    f"{' or '.join(map(repr, allowed))}"
                )

    def record(self, kind: Kind) -> LayerRecord | None:
        """Look up the method for one kind of layer.

        Args:
            kind: A kind of convolution, or "linear".

        Returns:
            The record; None if this kind is to stay, or the method has no such form.
        """
        name = self.linear if kind == "linear" else self.conv
        return None if name is None or name not in layers.available(kind) else layers.record(kind, name)
