"""Subtract a mean and divide by a standard deviation, as a layer whose constant is counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, up


class Normalize(ConstrainedModule):
    """Map channel c of the input to (x_c - mean_c) / std_c.

    The constant is 1 / min(std): the channel with the smallest deviation stretches most. Computed from the stored
    numbers and rounded up.

    Shape: `(N, C, ...)`; the output has the shape of the input.

    Args:
        mean: One number for each channel.
        std: One positive number for each channel.
        device: Device of the buffers.
        dtype: Precision of the buffers.

    Raises:
        ValueError: If the lengths differ or are 0, or a number is not finite, or a deviation is not positive in the
            precision of the buffers; in `forward`, if the input has another number of channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        means, stds = [float(m) for m in mean], [float(s) for s in std]
        if len(means) != len(stds) or not means:
            raise ValueError(f"mean={means} and std={stds} in Normalize must have one entry for each channel")
        if not all(map(math.isfinite, means)):
            raise ValueError(f"mean={means} in Normalize must be finite")
        kind = dtype if dtype is not None else torch.get_default_dtype()
        rounded = torch.tensor(stds, dtype=kind, device="cpu").tolist()
        if not all(math.isfinite(s) and s > 0 for s in rounded):
            raise ValueError(f"std={stds} in Normalize must be positive and finite in {kind}")
        self.register_buffer("mean", torch.tensor(means, device=device, dtype=dtype))
        self.register_buffer("std", torch.tensor(stds, device=device, dtype=dtype))

    @override
    def forward(self, x: Tensor) -> Tensor:
        if x.dim() < 2 or x.shape[1] != self.mean.numel():
            raise ValueError(f"input of shape {tuple(x.shape)} in Normalize must have {self.mean.numel()} channels")
        shape = (-1, *[1] * (x.dim() - 2))
        return (x - self.mean.reshape(shape)) / self.std.reshape(shape)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        smallest = float(self.std.detach().double().min())
        if not (smallest > 0 and math.isfinite(smallest)):
            raise ValueError(f"std={self.std.tolist()} in Normalize must be positive and finite")
        quotient = 1 / smallest
        exact = Fraction(quotient) * Fraction(smallest) >= 1
        return Bound(quotient if exact else up(quotient), True, "smallest deviation")

    def norm_estimate(self) -> Tensor:
        """Compute the constant for training.

        Returns:
            1 / min(std), a scalar that is not rounded up.
        """
        return 1 / self.std.min()

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        if self.mean.is_meta:
            return f"channels={self.mean.numel()}"
        return f"mean={self.mean.tolist()}, std={self.std.tolist()}"
