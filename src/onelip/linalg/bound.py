"""What is known about a Lipschitz constant: a number, and whether it is proved."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onelip.linalg.rounding import add_up, multiply_up, sqrt_up


@dataclass(frozen=True)
class Bound:
    """An upper bound of a Lipschitz constant, or an estimate of it: in l2 unless what returns it names another norm.

    Attributes:
        value: The constant, dimensionless (output norm per input norm), >= 0.
        proved: True if `value` is at least the real-arithmetic constant of the stored numbers, every
            rounding error included. False for estimates, such as those of a power iteration.
        method: How the value was obtained, in a few words.
    """

    value: float
    proved: bool
    method: str

    def __post_init__(self) -> None:
        if math.isnan(self.value) or self.value < 0:
            raise ValueError(f"value={self.value} is not a Lipschitz constant; it must be a number >= 0")
        if self.proved and math.isinf(self.value):
            raise ValueError("value=inf cannot be a proved Lipschitz constant; it must be finite")

    def then(self, after: Bound) -> Bound:
        """Bound the composition `after(self(x))`: the product, rounded up.

        Args:
            after: Bound of the map applied second.

        Returns:
            Bound of the composition, proved if both are.
        """
        value = multiply_up(self.value, after.value)
        return Bound(value, self.proved and after.proved and math.isfinite(value), "product")

    def plus(self, other: Bound) -> Bound:
        """Bound the sum of two maps of the same input: the sum, rounded up.

        Args:
            other: Bound of the other summand.

        Returns:
            Bound of the sum, proved if both are.
        """
        value = add_up(self.value, other.value)
        return Bound(value, self.proved and other.proved and math.isfinite(value), "sum")

    def stack(self, other: Bound) -> Bound:
        """Bound the concatenation of two maps of the same input: the root of the sum of squares, rounded up.

        Args:
            other: Bound of the other part.

        Returns:
            Bound of the concatenation, proved if both are.
        """
        squares = add_up(multiply_up(self.value, self.value), multiply_up(other.value, other.value))
        value = sqrt_up(squares)
        return Bound(value, self.proved and other.proved and math.isfinite(value), "concatenation")


EXACT_ONE = Bound(1.0, True, "exact")
"""The constant of a map that never stretches and whose bound needs no computation."""
