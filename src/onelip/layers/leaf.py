"""Layers that already are plain modules: their stored tensors are what they apply."""

from __future__ import annotations

import copy
from typing import Self

from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import positive_int
from onelip.linalg import EXACT_ONE, Bound


class PlainLayer(ConstrainedModule):
    """Base of layers without constraint code: the plain form is a copy, and the constant is 1 by construction.

    A subclass with another constant overrides nothing here: it derives from `ConstrainedModule` itself.
    """

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return EXACT_ONE

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)


def plain_copy(module: nn.Module) -> nn.Module:
    """Copy a module that already is plain.

    Args:
        module: Any module.

    Returns:
        A deep copy in eval mode.
    """
    return copy.deepcopy(module).eval()


class Activation(PlainLayer):
    """Base of activations that act along one axis of channels.

    Args:
        dim: Axis of the channels, negative from the back.

    Raises:
        ValueError: If `dim` is not an integer; in `forward`, if the input has no such axis, or another number of
            channels than `for_channels` was given.
    """

    channels: int | None = None

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise ValueError(f"dim={dim!r} in {type(self).__name__} must be an integer")
        self.dim = dim

    def with_channels(self, channels: int) -> Self:
        """Fix the number of channels, which `forward` then checks.

        Args:
            channels: Size of axis `dim`.

        Returns:
            This layer.

        Raises:
            ValueError: If it is not a positive integer.
        """
        self.channels = positive_int(type(self).__name__, "channels", channels)
        return self

    def axis_of(self, x: Tensor) -> int:
        """Find the axis of the channels, counted from the front.

        Args:
            x: An input.

        Returns:
            The axis.

        Raises:
            ValueError: If the input has no such axis, or another number of channels than was fixed.
        """
        owner = type(self).__name__
        if not -x.dim() <= self.dim < x.dim():
            raise ValueError(f"dim={self.dim} in {owner} is not an axis of an input with {x.dim()} axes")
        axis = self.dim % x.dim()
        if self.channels is not None and x.shape[axis] != self.channels:
            raise ValueError(f"input with {x.shape[axis]} channels in {owner} must have channels={self.channels}")
        return axis

    def output_channels(self, channels: int) -> int:
        """Count the channels of the output.

        Args:
            channels: Channels of the input.

        Returns:
            As many, unless a subclass keeps fewer.
        """
        return channels

    @override
    def extra_repr(self) -> str:
        options = [] if self.channels is None else [f"{self.channels}"]
        return ", ".join([*options, f"dim={self.dim}"])
