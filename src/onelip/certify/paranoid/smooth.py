"""Functions of single entries, and softmax, in balls; and their constants.

Functions whose derivative is bounded are evaluated at the middle of a ball, and the radius is multiplied by the bound:
Arb's own enclosure of a long expression would be wider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from onelip.certify.checker.network import Step
from onelip.certify.paranoid.activations import axis_of
from onelip.certify.paranoid.balls import ONE, ZERO, Balls, choose, elementwise, largest, positive, root
from onelip.certify.paranoid.errors import require

Shape = tuple[int, ...]
Entry = Callable[[Any], Any]


def _logistic(v: Any) -> Any:
    # Neither exponential is large.
    return 1 / (1 + (-v).exp()) if v >= 0 else v.exp() / (1 + v.exp())


def _log1p_exp(v: Any) -> Any:
    return v.max(ZERO) + (-abs(v)).exp().log1p()


def _clamped(v: Any) -> Any:
    return (v + 3).max(ZERO).min(arb(6))


def _gelu(v: Any) -> Any:
    return v * (-v / arb(2).sqrt()).erfc() / 2


def _gelu_tanh(v: Any) -> Any:
    return v * _logistic(2 * (v + v**3 * arb("0.044715")) * (2 / arb.pi()).sqrt())


def _softplus(step: Step) -> Entry:
    beta = arb(step.number("beta"))
    return lambda v: _log1p_exp(v * beta) / beta


def _exponential(step: Step) -> Entry:
    width, alpha, scale = (arb(step.number(name)) for name in ("width", "alpha", "scale"))
    return lambda v: scale * choose(positive(v), v, alpha * (v.min(ZERO) / width).expm1())


def _clip(step: Step) -> Entry:
    low, high = (None if step.attributes[n] is None else arb(step.number(n)) for n in ("low", "high"))

    def value(v: Any) -> Any:
        v = v if low is None else v.max(low)
        return v if high is None else v.min(high)

    return value


def _soft_shrink(step: Step) -> Entry:
    amount = arb(step.number("amount"))
    return lambda v: (v - amount).max(ZERO) - (-v - amount).max(ZERO)


def _is(function: Entry) -> Callable[[Step], Entry]:
    return lambda step: function


_FUNCTIONS: dict[str, Callable[[Step], Entry]] = {
    "atan": _is(lambda v: v.atan()),
    "clip": _clip,
    "cos": _is(lambda v: v.cos()),
    "elu": _exponential,
    "gelu": _is(_gelu),
    "gelu_tanh": _is(_gelu_tanh),
    "hard_sigmoid": _is(lambda v: _clamped(v) / 6),
    "hard_swish": _is(lambda v: v * _clamped(v) / 6),
    "log_sigmoid": _is(lambda v: -_log1p_exp(-v)),
    "mish": _is(lambda v: v * _log1p_exp(v).tanh()),
    "sigmoid": _is(_logistic),
    "silu": _is(lambda v: v * _logistic(v)),
    "sin": _is(lambda v: v.sin()),
    "soft_shrink": _soft_shrink,
    "softplus": _softplus,
    "softsign": _is(lambda v: v / (1 + abs(v))),
    "tanh": _is(lambda v: v.tanh()),
    "tanh_shrink": _is(lambda v: v - v.tanh()),
}

_BOUNDS = {
    "gelu": "1.1290", "gelu_tanh": "1.1300", "hard_sigmoid": "0.16666668", "hard_swish": "1.5", "mish": "1.0886",
    "sigmoid": "0.25", "silu": "1.0999",
}  # fmt: skip
"""Bounds of derivatives; 1 for all others. Above the largest ones: `tests/certify/paranoid/test_smooth.py`."""


def derivative_bound(step: Step) -> Any:
    """Bound the derivative of a function of single entries.

    Args:
        step: With its options.

    Returns:
        A ball whose upper end is a bound.
    """
    if step.op == "elu":
        width = arb(step.number("width"))
        require(width > 0, step, f"width {width}")
        return abs(arb(step.number("scale"))) * ONE.max(abs(arb(step.number("alpha"))) / width)
    if step.op == "softplus":
        require(step.number("beta") != 0 and step.number("threshold") >= 20, step, "it jumps with these options")
    if step.op == "soft_shrink":
        require(step.number("amount") >= 0, step, "it jumps with these options")
    return arb(_BOUNDS[step.op]) if step.op in _BOUNDS else ONE


def _beyond(step: Step) -> Any:
    # Beyond the threshold, the function named softplus returns its input, which differs by at most this.
    if step.op != "softplus":
        return ZERO
    return (-arb(step.number("threshold"))).exp() / abs(arb(step.number("beta")))


def entrywise(step: Step, x: Balls) -> Balls:
    """Apply a function to each entry.

    Args:
        step: With its options.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    bound, function, jump = derivative_bound(step), _FUNCTIONS[step.op](step), _beyond(step)
    return elementwise(lambda v: function(v.mid()) + (bound * v.rad() + jump) * arb(0, 1), 1)(x)


def _below(step: Step, x: Balls) -> tuple[Balls, int]:
    axis = axis_of(step, x)
    # Any number may be taken off; the middle of the largest one avoids large exponentials.
    tops = np.apply_along_axis(lambda line: largest(line).mid(), axis, x)
    return x - np.expand_dims(tops, axis), axis


def softmax(step: Step, x: Balls) -> Balls:
    """Exponentials over their sum along an axis.

    Args:
        step: Has `axis`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    below, axis = _below(step, x)
    parts = elementwise(lambda v: v.exp(), 1)(below)
    result: Balls = parts / parts.sum(axis, keepdims=True)
    return result


def log_softmax(step: Step, x: Balls) -> Balls:
    """The logarithm of `softmax`.

    Args:
        step: Has `axis`.
        x: `(N, ...)`.

    Returns:
        The same shape.
    """
    below, axis = _below(step, x)
    sums = elementwise(lambda v: v.exp(), 1)(below).sum(axis, keepdims=True)
    result: Balls = below - elementwise(lambda v: v.log(), 1)(sums)
    return result


def _log_softmax_constant(step: Step, shape: Shape) -> Any:
    axis = step.whole("axis") + 1
    require(axis < len(shape), step, f"axis {axis} of input {shape}")
    return root(arb(shape[axis])) if shape[axis] > 1 else ZERO


SMOOTH: dict[str, Callable[[Step, Balls], Balls]] = {
    **dict.fromkeys(_FUNCTIONS, entrywise),
    "log_softmax": log_softmax,
    "softmax": softmax,
}
"""Operations by name."""

SMOOTH_CONSTANTS: dict[str, Callable[[Step, Shape], Any]] = {
    **dict.fromkeys(_FUNCTIONS, lambda step, shape: derivative_bound(step)),
    "log_softmax": _log_softmax_constant,
    "softmax": lambda step, shape: arb("0.5"),
}
"""Their constants."""
