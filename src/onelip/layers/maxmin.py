"""MaxMin: sort pairs of channels, with a maximum or with ReLU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.leaf import Activation
from onelip.layers.registry import register


class _SortPair(torch.autograd.Function):
    """Maximum and minimum with one comparison kept for the backward pass.

    Twice as fast forward and backward as torch.maximum and torch.minimum, which keep both inputs and halve the
    gradient between equal entries; here the Jacobian stays a permutation at ties.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return torch.maximum(first, second), torch.minimum(first, second)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(inputs[0] >= inputs[1])

    @staticmethod
    def backward(ctx: Any, to_maximum: Tensor, to_minimum: Tensor) -> tuple[Tensor, Tensor]:
        (ordered,) = ctx.saved_tensors
        return torch.where(ordered, to_maximum, to_minimum), torch.where(ordered, to_minimum, to_maximum)


def sort_pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Sort two tensors entry by entry.

    Args:
        first: Any tensor.
        second: One of the same shape.

    Returns:
        (maximum, minimum).
    """
    maximum, minimum = _SortPair.apply(first, second)
    return maximum, minimum


@register(
    kind="activation",
    name="maxmin",
    orthogonal=True,
    paper="Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.2",
)
class MaxMin(Activation):
    """Replace channels i and i + h, with h = floor(channels / 2), by their maximum and their minimum.

    All maxima come first, then all minima, then, if the number of channels is odd, the last channel as it is. Each
    output pair is a permutation of its input pair, and the Jacobian a permutation matrix everywhere, ties included: the
    norm of gradients is kept. Values are copied, never rounded: the constant is 1 in floating point too.

    Shape: any, with the channels on axis `dim`; the output has the shape of the input.

    Args:
        dim: Axis of the channels.

    Raises:
        ValueError: If `dim` is not an integer; in `forward`, if the input has no such axis.
    """

    orthogonal = True

    @classmethod
    def for_channels(cls, channels: int, *, dim: int = 1) -> Self:
        """Build it for a number of channels; any number will do.

        Args:
            channels: Size of axis `dim`.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        return cls(dim).with_channels(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        dim = self.axis_of(x)
        half = x.shape[dim] // 2
        first, second = x.narrow(dim, 0, half), x.narrow(dim, half, half)
        parts = [*sort_pair(first, second)]
        if x.shape[dim] % 2:
            parts.append(x.narrow(dim, 2 * half, 1))
        return torch.cat(parts, dim)


@register(
    kind="activation",
    name="maxmin-relu",
    orthogonal=True,
    paper="Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.2",
)
class MaxMinReLU(Activation):
    """MaxMin written with ReLU, for tools that know no maximum: (b + relu(a - b), a - relu(a - b)).

    In real arithmetic it is exactly `MaxMin`, with the same order of channels, so its constant is 1. In floating point
    a difference is taken and added back, so an output is off by a few roundings of the larger of the pair. For
    verifiers that read nothing but linear layers and ReLU, `to_linear` gives the same function as a chain of three.

    Shape: any, with the channels on axis `dim`; the output has the shape of the input.

    Args:
        dim: Axis of the channels.

    Raises:
        ValueError: If `dim` is not an integer; in `forward`, if the input has no such axis.
    """

    orthogonal = True

    @classmethod
    def for_channels(cls, channels: int, *, dim: int = 1) -> Self:
        """Build it for a number of channels; any number will do.

        Args:
            channels: Size of axis `dim`.
            dim: Axis of the channels.

        Returns:
            The layer.
        """
        return cls(dim).with_channels(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        dim = self.axis_of(x)
        half = x.shape[dim] // 2
        first, second = x.narrow(dim, 0, half), x.narrow(dim, half, half)
        # At ties the derivative of relu is 0, which leaves the permutation (b, a).
        above = torch.relu(first - second)
        return torch.cat([second + above, first - above, x.narrow(dim, 2 * half, x.shape[dim] % 2)], dim)

    def to_linear(self, channels: int, image_axes: int = 2) -> nn.Sequential:
        """Build MaxMin on axis 1 as a linear layer, ReLU and a linear layer, without bias.

        With b = relu(b) - relu(-b), the maximum is b + relu(a - b) and the minimum b - relu(b - a). The product of the
        layers' own norms says nothing about the whole, whose constant is 1.

        Args:
            channels: Channels of the input.
            image_axes: Axes behind the channels: 0 for dense layers, 1 or 2 for convolutions with one tap.

        Returns:
            The chain, in the default precision and in eval mode.

        Raises:
            ValueError: If `image_axes` is not 0, 1 or 2.
        """
        if image_axes not in (0, 1, 2):
            raise ValueError(f"image_axes={image_axes!r} in MaxMinReLU.to_linear must be 0, 1 or 2")
        half, odd = channels // 2, channels % 2
        pair = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [0.0, 1.0], [0.0, -1.0]])
        join = torch.tensor([[1.0, 0.0, 1.0, -1.0], [0.0, -1.0, 1.0, -1.0]])
        identity, last = torch.eye(half), torch.eye(odd)
        weights = [
            torch.block_diag(torch.kron(pair, identity), torch.cat([last, -last])),
            torch.block_diag(torch.kron(join, identity), torch.cat([last, -last], 1)),
        ]
        make = (nn.Linear, _one_tap(nn.Conv1d), _one_tap(nn.Conv2d))[image_axes]
        first, second = (make(w.shape[1], w.shape[0], bias=False) for w in weights)
        with torch.no_grad():
            for layer, weight in zip((first, second), weights, strict=True):
                layer.get_parameter("weight").copy_(weight.reshape(*weight.shape, *[1] * image_axes))
        return nn.Sequential(first, nn.ReLU(), second).eval()


def _one_tap(conv: type[nn.Conv1d] | type[nn.Conv2d]) -> Callable[..., nn.Module]:
    return lambda inputs, outputs, bias: conv(inputs, outputs, 1, bias=bias)
