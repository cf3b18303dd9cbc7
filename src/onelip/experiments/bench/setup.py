"""Which layers are measured, on which inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onelip import layers
from onelip.layers import LayerRecord
from onelip.layers.registry import Kind
from onelip.linalg import unknown_name

PLAIN: Mapping[Kind, Any] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "linear": nn.Linear,
}
"""The layers of torch that the measured ones are compared with."""

_SMALL_SIDE = 8
"""Pixels of a side of the images on which singular values are measured; more where the kernel is larger."""


@dataclass(frozen=True)
class Setup:
    """What is measured.

    Attributes:
        kind: Kind of layer.
        methods: Names of registered layers.
        channels: Channels or features of input and output, which are equal so that every method applies.
        kernel: Side of the kernel, odd; 1 for dense layers.
        size: Side of the images; 1 for dense layers.
        batch: Inputs in a batch.
        device: Where.
        repeats: Timed steps of each layer.
    """

    kind: Kind
    methods: tuple[str, ...]
    channels: int
    kernel: int
    size: int
    batch: int
    device: torch.device
    repeats: int

    def __post_init__(self) -> None:
        if self.kind not in PLAIN:
            raise ValueError(unknown_name("kind", self.kind, PLAIN))
        for name in self.methods:
            layers.record(self.kind, name)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel={self.kernel} must be odd, so that layers keep the size of the image")
        n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        known = ["cpu", *(["cuda"] if n_gpus else []), *(f"cuda:{index}" for index in range(n_gpus))]
        if str(self.device) not in known:
            raise ValueError(f"device={str(self.device)!r} is not available; use {' or '.join(map(repr, known))}")

    @property
    def axes(self) -> int:
        """Spatial axes of an input."""
        return {"linear": 0, "conv1d": 1}.get(self.kind, 2)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input for timing."""
        return self.channels, *[self.size] * self.axes

    @property
    def small_shape(self) -> tuple[int, ...]:
        """Shape of one input for singular values."""
        return self.channels, *[max(_SMALL_SIDE, self.kernel)] * self.axes

    def records(self) -> list[LayerRecord]:
        """Look up the methods.

        Returns:
            Their records, in the order given.
        """
        return [layers.record(self.kind, name) for name in self.methods]

    def layer(self, record: LayerRecord) -> nn.Module:
        """Build one layer with its default options, away from its start.

        Some methods start as the identity, whose norms say little, so Gaussian noise of each raw tensor's own root
        mean square is added to it.

        Args:
            record: The method.

        Returns:
            The layer, in train mode.

        Raises:
            ValueError: If the method does not allow the arguments.
        """
        mode = "circular" if "circular" in record.paddings else next(iter(record.paddings), None)
        layer = self._build(record.factory, mode)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in layer.parameters():
                noise = torch.randn(parameter.shape, generator=generator).to(parameter)
                parameter.add_(noise * parameter.square().mean().sqrt())
        return layer

    def plain(self, record: LayerRecord | None = None) -> nn.Module:
        """Build the ordinary layer of the same shape.

        Args:
            record: The method it is compared with, whose padding it has; circular without one.

        Returns:
            The layer, in train mode.
        """
        circular = record is None or "circular" in record.paddings
        # Torch has no circular transposed convolution.
        mode = "circular" if circular and self.kind != "conv_transpose2d" else "zeros"
        return self._build(PLAIN[self.kind], mode)

    def inputs(self) -> Tensor:
        """Draw a batch for timing.

        Returns:
            `(batch, *shape)`, Gaussian.
        """
        generator = torch.Generator().manual_seed(2)
        return torch.randn(self.batch, *self.shape, generator=generator).to(self.device)

    def _build(self, make: Any, mode: str | None) -> nn.Module:
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(0)
            if self.axes == 0:
                built = make(self.channels, self.channels, device=self.device)
            else:
                options = {"padding": self.kernel // 2, "padding_mode": mode, "device": self.device}
                built = make(self.channels, self.channels, self.kernel, **options)
        module: nn.Module = built
        return module

    def describe(self) -> str:
        """Say what is measured.

        Returns:
            Half a sentence.
        """
        if self.axes == 0:
            return f"{self.kind}, {self.channels} -> {self.channels} features, batch {self.batch}, float32"
        sides = "x".join([str(self.kernel)] * self.axes), "x".join([str(self.size)] * self.axes)
        return (
            f"{self.kind}, {self.channels} -> {self.channels} channels, kernel {sides[0]}, batch {self.batch} of size "
            f"{sides[1]}, float32"
        )
