"""What rounding adds anywhere in a ball, for certificates about the executed float64 network.

An operation with constant k whose own rounding error is at most a |x^| + b |y^| + c for computed inputs x^ and images
y^ adds at most s = a + b k more where its computed input moves by 1. Errors at inputs within r of a sample are then at
most e0 + e1 r: e0 is carried with k + 2 s instead of k, and e1 obeys e1' = (k + s) e1 + s L with the constant L from
the network's input to the operation's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onelip.certify.checker.arithmetic import gamma
from onelip.certify.checker.convolutions import absolute_norm
from onelip.certify.checker.elementwise import FUNCTIONS
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import Measured, apply_step
from onelip.certify.checker.fourier import largest_matrix, read_spectrum, relative_error
from onelip.certify.checker.images import padding_copies
from onelip.certify.checker.network import INPUT, Step
from onelip.certify.checker.operations import JOINS, SLACK, Result, exact, norms

LARGEST_INPUT = 2.0**100
"""Samples with a larger norm have the radius 0."""

_LARGEST_NORM = 2.0**500
_LARGEST_STORED = 2.0**200
_LONGEST_ROW = 2**13
_LONGEST_AXIS = 2**19

Shape = tuple[int, ...]

_COPIES = frozenset({
    "abs", "beta_abs", "channel_pad", "channel_shuffle", "concat_residual", "concatenate", "gather", "group_sort",
    "max_windows", "maximum", "maxmin", "maxout", "minimum", "permute", "pixel_shuffle", "pixel_unshuffle", "relu",
    "reshape", "slice", "take", "zero_pad2d",
})  # fmt: skip
"""Operations that round nothing themselves."""

_ROUNDED = {
    "batch_norm": 10, "divide": 2, "householder": 64, "householder2": 256, "l2_norm_residual": 6, "leaky_relu": 2,
    "multiply": 2, "n_activation": 2, "normalize": 3, "prelu": 2, "scale": 2, "shift": 2, "soft_huber": 9,
}  # fmt: skip
"""Operations whose result, or its parts, are off by so many units."""


@dataclass(frozen=True, eq=False)
class Executed:
    """A network with what its rounding errors grow by.

    Attributes:
        measured: The network whose constants are replaced by k + 2 s, so that evaluating it carries e0.
        slopes: s of each step.
        growth: e1 of each step, `INPUT` included.
        branches: The same for the networks inside skip connections.
    """

    measured: Measured
    slopes: dict[str, float]
    growth: dict[str, float]
    branches: dict[str, Executed]

    @property
    def value(self) -> float:
        """e1 of the output."""
        return self.growth[self.measured.graph.output]


def execute(measured: Measured) -> Executed:
    """Derive the growth of rounding errors.

    Args:
        measured: A network with proved constants.

    Returns:
        Its growth; infinite where something computed may overflow.

    Raises:
        VerificationError: If the growth of an operation is not known.
    """
    executed = _derive(measured)
    if not _bounded(executed, 2 * LARGEST_INPUT):
        executed.growth[measured.graph.output] = math.inf
    return executed


def _derive(measured: Measured) -> Executed:
    own, slopes, growth = dict(measured.own), {}, {INPUT: 0.0}
    branches = {name: _derive(inner) for name, inner in measured.branches.items()}
    for step in measured.graph.steps:
        slope = _own_slope(measured, step)
        if step.name in branches:
            slope += branches[step.name].value
        slopes[step.name] = slope = slope * SLACK
        constant = measured.own.get(step.name, 1.0)
        before = [(measured.cumulative[name], growth[name]) for name in step.inputs]
        growth[step.name] = math.fsum(slope * reach + (constant + slope) * e1 for reach, e1 in before) * SLACK
        own[step.name] = (constant + 2 * slope) * SLACK if slope else constant
    inner = {name: branch.measured for name, branch in branches.items()}
    return Executed(replace(measured, own=own, branches=inner), slopes, growth, branches)


def _own_slope(measured: Measured, step: Step) -> float:
    if step.op in _COPIES:
        return 0.0
    constant = measured.own.get(step.name, 1.0)
    if step.op in JOINS:
        return gamma(len(step.inputs) + 1)
    if step.op in ("householder", "householder2"):
        return gamma(_ROUNDED[step.op])
    if step.op in _ROUNDED:
        return constant * gamma(_ROUNDED[step.op])
    rule = _RULES.get(step.op)
    if rule is None:
        raise VerificationError(f"op={step.op!r} of {step.name!r} has no growth of rounding known to this checker")
    return rule(step, measured.shapes[step.inputs[0]], constant)


def _correlation(step: Step, shape: Shape, constant: float) -> float:
    weight, copies = step.arrays["weight"], 1.0
    if "pads" in step.attributes:
        pads = step.wholes("pads", 0)
        sides = zip(shape[1:], pads[::2], pads[1::2], strict=True)
        copies = math.prod(padding_copies(*side, step.attributes["padding_mode"]) for side in sides)
    return math.sqrt(copies) * absolute_norm(weight) * gamma(weight[0].size + 3)


def _adjoint(step: Step, shape: Shape, constant: float) -> float:
    weight = step.arrays["weight"]
    terms = weight.size // (weight.shape[1] * step.whole("groups", 1))
    return absolute_norm(weight) * gamma(terms + 3)


def _two_products(step: Step, shape: Shape, constant: float) -> float:
    weight = step.arrays["weight"]
    size, terms = absolute_norm(weight), max(weight.shape[:2]) * weight[0, 0].size + 3
    return 4 * size * size * gamma(terms) + (1 + constant) * gamma(4)


def _frequencies(step: Step, shape: Shape, constant: float) -> float:
    spectrum = read_spectrum(step, "spectrum")
    return relative_error(shape[1:], largest_matrix(spectrum), constant, spectrum.shape[4]) + constant * gamma(4)


def _sandwich(step: Step, shape: Shape, constant: float) -> float:
    spectrum, own = read_spectrum(step, "weight"), math.sqrt(constant) * SLACK
    relative = relative_error(shape[1:], largest_matrix(spectrum), own, max(spectrum.shape[3:]))
    if relative > 1e-10 * own:
        return math.inf
    return 2 * own * (2 * relative + own * gamma(4)) + constant * gamma(4)


def _series(step: Step, shape: Shape, constant: float) -> float:
    weight, norm = step.arrays["weight"], step.number("norm") * (1 + 1e-6)
    coefficients = [abs(float(c)) for c in step.attributes["coefficients"]][::-1]
    if weight[0].size > _LONGEST_ROW:
        return math.inf
    product = absolute_norm(weight) * gamma(weight[0].size + 3)
    moved, slope = coefficients[0], coefficients[0] * gamma(2)
    for coefficient in coefficients[1:]:
        following = moved * norm + coefficient
        slope = (slope * norm + moved * product + (coefficient + following) * gamma(4)) * SLACK
        moved = following * SLACK
    return slope + moved * gamma(2)


def _center(step: Step, shape: Shape, constant: float) -> float:
    return gamma(math.prod(shape[a] for a in step.wholes("axes", 0)) + 8) + gamma(2)


def _matrices(step: Step, shape: Shape, constant: float) -> float:
    size, terms = 1.0, 2
    for matrix in step.arrays.values():
        size *= absolute_norm(matrix) * SLACK
        terms += matrix.shape[1] + 1
    return size * gamma(terms)


def _put(step: Step, shape: Shape, constant: float) -> float:
    index = step.arrays["index"].astype(np.int64)
    most = int(np.bincount(index[index >= 0], minlength=1).max())
    return gamma(most + 1) * math.sqrt(most)


def _function(step: Step, shape: Shape, constant: float) -> float:
    return gamma(FUNCTIONS[step.op].of_input) + constant * gamma(FUNCTIONS[step.op].of_output)


def _softmax(step: Step, shape: Shape, constant: float) -> float:
    entries = shape[step.whole("axis")]
    if entries > _LONGEST_AXIS:
        return math.inf
    return gamma(4 * entries + 8) + constant * gamma(entries + 24)


def _window_norm(step: Step, shape: Shape, constant: float) -> float:
    return constant * gamma(shape[-1] + shape[-2] + 5)


_RULES: dict[str, Callable[[Step, Shape, float], float]] = {
    **dict.fromkeys(FUNCTIONS, _function),
    "center": _center,
    "circular_conv_transpose2d": _adjoint,
    "conv1d": _correlation,
    "conv2d": _correlation,
    "conv3d": _correlation,
    "conv_transpose1d": _adjoint,
    "conv_transpose2d": _adjoint,
    "conv_transpose3d": _adjoint,
    "frequency_conv2d": _frequencies,
    "frequency_sandwich2d": _sandwich,
    "gradient_residual1d": _two_products,
    "gradient_residual2d": _two_products,
    "linear": _correlation,
    "log_softmax": _softmax,
    "matrices": _matrices,
    "put": _put,
    "sandwich1d": _two_products,
    "skew_series2d": _series,
    "softmax": _softmax,
    "window_norm": _window_norm,
}

KNOWN = frozenset({*_COPIES, *_ROUNDED, *_RULES, *JOINS})
"""Operations whose growth is known."""


def _values_at_zero(measured: Measured) -> dict[str, Result]:
    values: dict[str, Result] = {INPUT: exact(np.zeros((1, *measured.graph.input_shape)))}
    for step in measured.graph.steps:
        with np.errstate(over="ignore", invalid="ignore"):
            values[step.name] = apply_step(measured, step, [values[name] for name in step.inputs])
    return values


def _bounded(executed: Executed, reach: float) -> bool:
    # Nothing that can be computed for inputs within reach overflows, nor underflows by more than is allowed for.
    measured = executed.measured
    values = _values_at_zero(measured)
    highest = {
        name: float(norms(y)[0]) + 2 * float(error[0]) + (measured.cumulative[name] + executed.growth[name]) * reach
        for name, (y, error) in values.items()
    }
    for step in measured.graph.steps:
        before = math.fsum(highest[name] for name in step.inputs)
        # Sums inside of a step are at most 2^53 times its rounding error.
        inside = (float(values[step.name][1][0]) + 2 * executed.slopes[step.name] * before) * 2.0**53
        if not max(highest[step.name], inside) <= _LARGEST_NORM or not _ordinary(step):
            return False
        if step.name in executed.branches and not _bounded(executed.branches[step.name], before):
            return False
    return True


def _ordinary(step: Step) -> bool:
    sizes = [*(float(np.abs(array).max()) for array in step.arrays.values() if array.size), *_flat(step.attributes)]
    if max(map(abs, sizes), default=0.0) > _LARGEST_STORED or _divisor(step) < 1 / _LARGEST_STORED:
        return False
    if step.op == "skew_series2d":
        return step.number("norm") <= 2.0**10
    if step.op == "matrices":
        # What lies between the products along two axes.
        return math.prod(max(1.0, float(np.abs(m).sum(1).max())) for m in step.arrays.values()) <= _LARGEST_STORED
    scales = [*step.attributes["row_scales"], *step.attributes["column_scales"]] if step.op == "window_norm" else [0.0]
    return max(map(abs, scales)) <= 2.0**8


def _divisor(step: Step) -> float:
    if step.op in ("divide", "normalize"):
        return float(np.abs(step.arrays["std" if step.op == "normalize" else "value"]).min())
    if step.op == "batch_norm":
        return float(step.arrays["variance"].min()) + step.number("eps")
    name = {"elu": "width", "soft_huber": "delta", "softplus": "beta"}.get(step.op)
    return 1.0 if name is None else abs(step.number(name))


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _flat(entry)
    elif isinstance(value, (int, float)):
        yield float(value)
