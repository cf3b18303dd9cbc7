"""Multiply by a fixed number, such as an equal share of a network's constant."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, down


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
        self.factor = 1.0
        self.multiply_by_(factor)

    @classmethod
    def share(cls, constant: float, n: int) -> Self:
        """Build one of `n` layers whose factors multiply to a constant.

        Args:
            constant: The product wanted, positive.
            n: Number of layers.

        Returns:
            A layer that multiplies by constant^(1/n), rounded down.
        """
        return cls(equal_share(constant, n))

    def multiply_by_(self, factor: float) -> None:
        """Exchange the factor.

        Args:
            factor: A finite number.

        Raises:
            ValueError: If it is not.
        """
        self.factor = _finite(factor)
        self.orthogonal = abs(self.factor) == 1.0

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return Bound(abs(self.factor), True, "exact")

    def norm_estimate(self) -> Tensor:
        """Give the constant for training.

        Returns:
            |factor|, a scalar on the CPU.
        """
        return torch.tensor(abs(self.factor))

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        return f"{self.factor!r}"


def equal_share(constant: float, n: int) -> float:
    """Compute the largest float64 whose n-th power is at most a constant, or one a few units below it.

    Args:
        constant: A positive finite number.
        n: Number of factors, at least 1.

    Returns:
        constant^(1/n), rounded down.

    Raises:
        ValueError: If an argument is not a number of its range.
    """
    if type(constant) not in (int, float) or not (constant > 0 and math.isfinite(constant)):
        raise ValueError(f"constant={constant!r} shared by Scale layers must be a positive finite number")
    positive_int("Scale.share", "n", n)
    share = float(constant) ** (1 / n)
    while Fraction(share) ** n > Fraction(constant):
        share = down(share)
    return share


def _finite(factor: Any) -> float:
    if type(factor) not in (int, float) or not math.isfinite(factor):
        raise ValueError(f"factor={factor!r} in Scale must be a finite number")
    return float(factor)
