"""Smooth and piecewise functions of single entries, and softmax, in float64 with error bounds.

Assumed of the library: exp, expm1, log1p, log, tanh, erf and atan are within 4 units in the last place, which is a
relative error of at most 8 u; sin and cos within 8 u of 1. The error of a function is stated as numbers i and o of
roundings and a number e: ||computed - exact|| <= gamma_i ||x|| + gamma_o ||computed|| + e sqrt(entries).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onelip.certify.records import Node
from onelip.certify.values import SLACK, Rule, Values, sample_norms
from onelip.linalg import gamma

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Slope:
    """How the rounding error of an operation grows.

    Attributes:
        of_input: Roundings relative to the norm of the input.
        of_output: Roundings relative to the norm of the output.
        each: Absolute error of every entry.
    """

    of_input: int = 0
    of_output: int = 0
    each: float = 0.0

    def error(self, x: Tensor, y: Tensor) -> Tensor:
        """Bound the error of each sample.

        Args:
            x: The computed input, `(N, ...)`.
            y: The computed output, `(N, ...)`.

        Returns:
            `(N,)`.
        """
        relative = sample_norms(x) * gamma(self.of_input) + sample_norms(y) * gamma(self.of_output)
        return (relative + self.each * math.sqrt(y[0].numel())) * SLACK


def _sigmoid(x: Tensor, a: Attributes) -> Tensor:
    # No exponential overflows.
    small = torch.exp(-x.abs())
    return torch.where(x >= 0, 1.0, small) / (1 + small)


def _softplus(x: Tensor, a: Attributes) -> Tensor:
    t = x * a["beta"]
    return (t.clamp(min=0) + torch.log1p(torch.exp(-t.abs()))) / a["beta"]


def _mish(x: Tensor, a: Attributes) -> Tensor:
    return x * torch.tanh(_softplus(x, {"beta": 1.0}))


def _log_sigmoid(x: Tensor, a: Attributes) -> Tensor:
    return x.clamp(max=0) - torch.log1p(torch.exp(-x.abs()))


def _elu(x: Tensor, a: Attributes) -> Tensor:
    below = a["alpha"] * torch.expm1(x.clamp(max=0) / a["width"])
    return torch.where(x > 0, x, below) * a["scale"]


def _gelu(x: Tensor, a: Attributes) -> Tensor:
    return x * (0.5 * (1 + torch.erf(x / math.sqrt(2))))


def _gelu_tanh(x: Tensor, a: Attributes) -> Tensor:
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return x * (0.5 * (1 + torch.tanh(inner)))


def _clip(x: Tensor, a: Attributes) -> Tensor:
    # As torch: the upper limit wins.
    return x if a["low"] is None and a["high"] is None else x.clamp(a["low"], a["high"])


def _soft_shrink(x: Tensor, a: Attributes) -> Tensor:
    return x - x.clamp(-a["amount"], a["amount"])


def jump(attributes: Attributes) -> float:
    """Bound how far torch's softplus, which returns x beyond a threshold, is from the smooth function.

    Args:
        attributes: `beta` and `threshold`.

    Returns:
        exp(-threshold) / |beta|, rounded up.
    """
    return math.exp(-attributes["threshold"]) / abs(attributes["beta"]) * SLACK


def fixed(of_input: int = 0, of_output: int = 0, each: float = 0.0) -> Callable[[Attributes], Slope]:
    """Make a slope that does not depend on options.

    Args:
        of_input: As in `Slope`.
        of_output: As in `Slope`.
        each: As in `Slope`.

    Returns:
        A function of the options.
    """
    return lambda attributes: Slope(of_input, of_output, each)


UNIT = 2.0**-49
"""16 u."""

FUNCTIONS: dict[str, tuple[Callable[[Tensor, Attributes], Tensor], Callable[[Attributes], Slope]]] = {
    # Arctangent and tanh are library functions: 8 roundings.
    "atan": (lambda x, a: torch.atan(x), fixed(of_output=9)),
    "clip": (_clip, fixed()),
    "cos": (lambda x, a: torch.cos(x), fixed(each=UNIT)),
    # 1 + 8 + products and constants of a function whose condition number below 0 is at most 1.
    "elu": (_elu, fixed(of_output=16)),
    # The argument of erf is within 2 roundings, which moves erf by at most 1 u; erf itself within 8 u.
    "gelu": (_gelu, fixed(of_input=16)),
    # The argument is within 8 roundings, which moves tanh by at most 4 u; tanh itself within 8 u.
    "gelu_tanh": (_gelu_tanh, fixed(of_input=24)),
    # x + 3 is within 1 rounding and cutting does not stretch.
    "hard_sigmoid": (lambda x, a: (x + 3).clamp(0, 6) / 6, fixed(of_output=4)),
    "hard_swish": (lambda x, a: x * (x + 3).clamp(0, 6) / 6, fixed(of_output=6)),
    "log_sigmoid": (_log_sigmoid, fixed(of_output=24)),
    # Softplus within 24, tanh has condition number at most 1 and 8 of its own, one product.
    "mish": (_mish, fixed(of_output=40)),
    "sigmoid": (_sigmoid, fixed(of_output=20)),
    "silu": (lambda x, a: x * _sigmoid(x, a), fixed(of_output=24)),
    "sin": (lambda x, a: torch.sin(x), fixed(each=UNIT)),
    "soft_shrink": (_soft_shrink, fixed(of_output=2)),
    # beta x is within 1 rounding, and the function never stretches.
    "softplus": (_softplus, lambda a: Slope(2, 32, jump(a))),
    "softsign": (lambda x, a: x / (1 + x.abs()), fixed(of_output=4)),
    "tanh": (lambda x, a: torch.tanh(x), fixed(of_output=9)),
    # |x - tanh x| <= |x| and |tanh x| <= |x|.
    "tanh_shrink": (lambda x, a: x - torch.tanh(x), fixed(of_input=12)),
}
"""Each function, and its slope from its options."""


def _rule(op: str) -> Rule:
    function, slope = FUNCTIONS[op]

    def rule(node: Node, inputs: list[Tensor]) -> Values:
        y = function(inputs[0], node.attributes)
        return y, slope(node.attributes).error(inputs[0], y)

    return rule


def softmax_slope(entries: int) -> Slope:
    """State the slope of softmax and its logarithm.

    Taking off the maximum moves every entry by at most 2 u ||x||, all of them by 2 u sqrt(n) ||x||, which softmax
    halves and its logarithm stretches by sqrt(n); exponentials are within 8 u, their sum and what follows within
    n + 12 roundings. The logarithm of the sum is off by as much absolutely.

    Args:
        entries: n, the length of the axis.

    Returns:
        The slope.
    """
    return Slope(4 * entries + 8, entries + 24, gamma(2 * entries + 48))


def _softmax(node: Node, inputs: list[Tensor]) -> Values:
    x, axis = inputs[0], node.attributes["axis"] + 1
    parts = torch.exp(x - x.amax(axis, keepdim=True))
    y = parts / parts.sum(axis, keepdim=True)
    return y, softmax_slope(x.shape[axis]).error(x, y)


def _log_softmax(node: Node, inputs: list[Tensor]) -> Values:
    x, axis = inputs[0], node.attributes["axis"] + 1
    below = x - x.amax(axis, keepdim=True)
    y = below - torch.exp(below).sum(axis, keepdim=True).log()
    return y, softmax_slope(x.shape[axis]).error(x, y)


ELEMENTWISE: dict[str, Rule] = {op: _rule(op) for op in FUNCTIONS}
"""Functions of single entries by name."""

SOFTMAX: dict[str, Rule] = {"log_softmax": _log_softmax, "softmax": _softmax}
"""Functions of the entries along an axis by name."""
