"""Products and quotients with stored numbers: what they compute, and their constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onelip.certify.checker.arithmetic import above
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.operations import Result, require, rounded


def _value(step: Step, shape: tuple[int, ...]) -> Array:
    value = step.arrays["value"]
    fits = value.ndim == len(shape) - 1 and all(m in (1, n) for m, n in zip(value.shape, shape[1:], strict=True))
    require(fits, step, f"value of shape {value.shape} for input {shape}")
    return value


def multiply(step: Step, x: Array) -> Result:
    """Multiply by stored numbers.

    Args:
        step: Has the array `value`, which broadcasts.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    return rounded(x * _value(step, x.shape), 1)


def divide(step: Step, x: Array) -> Result:
    """Divide by stored numbers.

    Args:
        step: Has the array `value`, which broadcasts.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    value = _value(step, x.shape)
    require(bool((value != 0).all()), step, "it divides by zero")
    return rounded(x / value, 1)


def _divide_constant(step: Step, shape: tuple[int, ...]) -> float:
    smallest = float(np.abs(_value(step, shape)).min())
    require(smallest > 0, step, "it divides by zero")
    return above(1 / smallest) if smallest != 1 else 1.0


SCALES: dict[str, Callable[[Step, Array], Result]] = {"divide": divide, "multiply": multiply}
"""Operations by name."""

SCALE_CONSTANTS: dict[str, Callable[[Step, tuple[int, ...]], float]] = {
    "divide": _divide_constant,
    "multiply": lambda step, shape: float(np.abs(_value(step, shape)).max()),
}
"""Their constants."""
