"""Multiply by a fixed number."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound


class Scale(ConstrainedModule):
    """Multiply every entry by `factor`; the constant is |factor|, exactly.

    The factor is an argument, like a kernel size: it is not learned and not in the state dict.

    Shape: any; the output has the shape of the input.

    Args:
        factor: A finite number.

    Raises:
        ValueError: If `factor` is not a finite number.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = _finite(factor)
        self.orthogonal = abs(self.factor) == 1.0

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return Bound(abs(self.factor), True, "exact")

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        return f"{self.factor!r}"


def _finite(factor: Any) -> float:
    if type(factor) not in (int, float) or not math.isfinite(factor):
        raise ValueError(f"factor={factor!r} in Scale must be a finite number")
    return float(factor)
