"""Functions of single entries, and softmax: what they compute, with what error, and their constants.

The library's exp, expm1, log1p, log, tanh, erf and arctan are assumed to be within 4 units in the last place (8 u),
sine and cosine within 8 u of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onelip.certify.checker.arithmetic import above, gamma, root, times
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.operations import LARGEST_FACTOR, SLACK, Result, axis_of, norms, require

_erf = np.frompyfunc(math.erf, 1, 1)


@dataclass(frozen=True, eq=False)
class Function:
    """A function of single entries.

    Attributes:
        values: From a step and its input to the output.
        constant: From a step to a bound of the derivative.
        of_input: Roundings relative to the input: the error is at most gamma of it times the norm of the input, plus
            likewise for the output, plus an absolute error for each entry.
        of_output: Roundings relative to the output.
        each: From a step to the absolute error of an entry.
    """

    values: Callable[[Step, Array], Array]
    constant: Callable[[Step], float]
    of_input: int = 0
    of_output: int = 0
    each: Callable[[Step], float] = lambda step: 0.0

    def __call__(self, step: Step, x: Array) -> Result:
        """Apply it.

        Args:
            step: With its options.
            x: `(N, ...)`.

        Returns:
            The same shape.
        """
        y = self.values(step, x)
        error = norms(x) * gamma(self.of_input) + norms(y) * gamma(self.of_output)
        return y, (error + self.each(step) * math.sqrt(y[0].size)) * SLACK


def _is(value: float) -> Callable[[Step], float]:
    return lambda step: value


def _logistic(step: Step, x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1.0, decay) / (1 + decay)
    return result


def _log1p_exp(t: Array) -> Array:
    result: Array = np.maximum(t, 0) + np.log1p(np.exp(-np.abs(t)))
    return result


def _sharpness(step: Step) -> float:
    beta = step.number("beta")
    require(beta != 0 and step.number("threshold") >= 20, step, "softplus jumps with these options")
    return beta


def _softplus(step: Step, x: Array) -> Array:
    beta = _sharpness(step)
    return _log1p_exp(x * beta) / beta


def _jump(step: Step) -> float:
    # What torch's own function, which returns x beyond the threshold, is off by.
    return math.exp(-step.number("threshold")) / abs(_sharpness(step)) * SLACK


def _width(step: Step) -> float:
    # What underflows is multiplied by the factors, and must stay below what is allowed for underflow.
    width, *factors = (step.number(name) for name in ("width", "alpha", "scale"))
    fits = 1 / LARGEST_FACTOR <= width <= LARGEST_FACTOR and all(abs(f) <= LARGEST_FACTOR for f in factors)
    require(fits, step, f"width {width} and factors {factors}")
    return width


def _exponential(step: Step, x: Array) -> Array:
    width = _width(step)
    low = np.expm1(np.minimum(x, 0) / width) * step.number("alpha")
    result: Array = np.where(x > 0, x, low) * step.number("scale")
    return result


def _exponential_constant(step: Step) -> float:
    width = _width(step)
    alpha = abs(step.number("alpha"))
    below = 1.0 if alpha == width else above(alpha / width)
    return times(abs(step.number("scale")), max(1.0, below))


def _gelu(step: Step, x: Array) -> Array:
    return x * ((1 + np.asarray(_erf(x / math.sqrt(2)), dtype=np.float64)) / 2)


def _gelu_tanh(step: Step, x: Array) -> Array:
    with np.errstate(over="ignore"):
        inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    # The cube of a large number is infinite, whose hyperbolic tangent is 1.
    return x * ((1 + np.tanh(inner)) / 2)


def _clip(step: Step, x: Array) -> Array:
    low, high = step.attributes["low"], step.attributes["high"]
    x = x if low is None else np.maximum(x, step.number("low"))
    return x if high is None else np.minimum(x, step.number("high"))


def _soft_shrink(step: Step, x: Array) -> Array:
    amount = step.number("amount")
    require(amount >= 0, step, f"amount {amount}")
    result: Array = np.where(x > amount, x - amount, np.where(x < -amount, x + amount, 0.0))
    return result


FUNCTIONS: dict[str, Function] = {
    "atan": Function(lambda s, x: np.arctan(x), _is(1.0), of_output=9),
    "clip": Function(_clip, _is(1.0)),
    "cos": Function(lambda s, x: np.cos(x), _is(1.0), each=_is(2.0**-49)),
    "elu": Function(_exponential, _exponential_constant, of_output=16),
    "gelu": Function(_gelu, _is(1.1290), of_input=16),
    "gelu_tanh": Function(_gelu_tanh, _is(1.1300), of_input=24),
    "hard_sigmoid": Function(lambda s, x: np.clip(x + 3, 0, 6) / 6, _is(0.16666668), of_output=4),
    "hard_swish": Function(lambda s, x: x * np.clip(x + 3, 0, 6) / 6, _is(1.5), of_output=6),
    "log_sigmoid": Function(lambda s, x: -_log1p_exp(-x), _is(1.0), of_output=24),
    "mish": Function(lambda s, x: x * np.tanh(_log1p_exp(x)), _is(1.0886), of_output=40),
    "sigmoid": Function(_logistic, _is(0.25), of_output=20),
    "silu": Function(lambda s, x: x * _logistic(s, x), _is(1.0999), of_output=24),
    "sin": Function(lambda s, x: np.sin(x), _is(1.0), each=_is(2.0**-49)),
    "soft_shrink": Function(_soft_shrink, _is(1.0), of_output=2),
    "softplus": Function(_softplus, _is(1.0), of_input=2, of_output=32, each=_jump),
    "softsign": Function(lambda s, x: x / (1 + np.abs(x)), _is(1.0), of_output=4),
    "tanh": Function(lambda s, x: np.tanh(x), _is(1.0), of_output=9),
    "tanh_shrink": Function(lambda s, x: x - np.tanh(x), _is(1.0), of_input=12),
}
"""By name. The largest derivatives are, rounded up: of GELU Phi(sqrt 2) + sqrt 2 phi(sqrt 2), and so on."""


def _soft_error(x: Array, y: Array, entries: int) -> Array:
    # Taking off the maximum moves entries by at most 2 u ||x|| each; exponentials, sum and quotient: n + 12 roundings;
    # the logarithm of a sum of at least 1 is off by as much.
    error = norms(x) * gamma(4 * entries + 8) + norms(y) * gamma(entries + 24)
    return (error + gamma(2 * entries + 48) * math.sqrt(y[0].size)) * SLACK


def softmax(step: Step, x: Array) -> Result:
    """Exponentials over their sum along an axis.

    Args:
        step: Has `axis`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis = axis_of(step, x)
    parts = np.exp(x - x.max(axis, keepdims=True))
    y = parts / parts.sum(axis, keepdims=True)
    return y, _soft_error(x, y, x.shape[axis])


def log_softmax(step: Step, x: Array) -> Result:
    """The logarithm of `softmax`.

    Args:
        step: Has `axis`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    axis = axis_of(step, x)
    below = x - x.max(axis, keepdims=True)
    y = below - np.log(np.exp(below).sum(axis, keepdims=True))
    return y, _soft_error(x, y, x.shape[axis])


def _log_softmax_constant(step: Step, shape: tuple[int, ...]) -> float:
    # I - 1 p^T is convex in p, so its norm is largest at a unit vector: sqrt(n).
    axis = step.whole("axis") + 1
    require(axis < len(shape), step, f"axis {axis} of input {shape}")
    return root(float(shape[axis])) if shape[axis] > 1 else 0.0


ELEMENTWISE: dict[str, Callable[[Step, Array], Result]] = {
    **FUNCTIONS,
    "log_softmax": log_softmax,
    "softmax": softmax,
}
"""Operations by name."""

ELEMENTWISE_CONSTANTS: dict[str, Callable[[Step, tuple[int, ...]], float]] = {
    **{op: lambda step, shape, f=function: f.constant(step) for op, function in FUNCTIONS.items()},  # type: ignore[misc]
    "log_softmax": _log_softmax_constant,
    # Its Jacobian diag(p) - p p^T has absolute row sums 2 p (1 - p) <= 1/2.
    "softmax": lambda step, shape: 0.5,
}
"""Their constants."""
