"""The Lipschitz constant of each operation, in balls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.certify.paranoid.affine import transposed
from onelip.certify.paranoid.balls import ONE, ZERO, absolute, exact, largest, root, square_root
from onelip.certify.paranoid.convolution_norms import adjoint_norm, convolution_norm
from onelip.certify.paranoid.copies import COPY_CONSTANTS
from onelip.certify.paranoid.errors import NotCoveredError, require
from onelip.certify.paranoid.fourier import spectrum_norm, spectrum_of
from onelip.certify.paranoid.norms import LARGEST, matrix_norm
from onelip.certify.paranoid.smooth import SMOOTH_CONSTANTS
from onelip.certify.paranoid.taps import circular_adjoint
from onelip.certify.paranoid.windows import WINDOW_CONSTANTS

Shape = tuple[int, ...]
Claims = tuple[Any, ...]

_SENSITIVITY = 32
"""The largest number of terms of a power series."""

ISOMETRIES = (
    "abs", "beta_abs", "center", "channel_pad", "channel_shuffle", "group_sort", "householder", "householder2",
    "maxmin", "maxout", "n_activation", "permute", "pixel_shuffle", "pixel_unshuffle", "relu", "reshape", "shift",
    "slice", "soft_huber", "zero_pad2d",
)  # fmt: skip
"""Operations whose constant is 1, whatever they store."""


def step_constant(step: Step, shape: Shape, slack: float) -> Any:
    """Bound an operation of one input.

    Args:
        step: The operation.
        shape: Shape of its input.
        slack: Relative excess over the claimed constant that is still worth proving, if the claim itself is not proved.

    Returns:
        A ball whose upper end is a bound.

    Raises:
        NotCoveredError: If the operation is not known.
        VerificationError: If there is no finite constant.
    """
    rule = _RULES.get(step.op)
    if rule is None:
        raise NotCoveredError(f"op={step.op!r} of {step.name!r} is not known in ball arithmetic")
    # Within the slack, however the last bit of it is rounded.
    value = rule(step, shape, tuple(arb(step.claimed) * (1 + arb(s)) for s in (0.0, slack * 0.99)))
    if not value.is_finite():
        raise VerificationError(f"{step.op} {step.name!r} has no finite Lipschitz constant")
    return value


def _one(step: Step, shape: Shape, claims: Claims) -> Any:
    return ONE


def _weight_norm(step: Step, claims: Claims) -> Any:
    weight = step.arrays["weight"]
    require(weight.ndim == 2 and weight.size > 0, step, f"weight {weight.shape}")
    if min(weight.shape) > LARGEST:
        raise NotCoveredError(f"{step.op} {step.name!r} is too large to prove its constant in ball arithmetic")
    return matrix_norm(exact(weight), claims)


def _linear(step: Step, shape: Shape, claims: Claims) -> Any:
    return _weight_norm(step, claims)


def _transposed(step: Step, shape: Shape, claims: Claims) -> Any:
    return adjoint_norm(step, transposed(step, shape), step.wholes("padding", 0, len(shape) - 2), claims)


def _circular_transposed(step: Step, shape: Shape, claims: Claims) -> Any:
    return adjoint_norm(step, circular_adjoint(step, shape), (), claims)


def _residual_of(norm: Callable[[Claims], Any], claims: Claims) -> Any:
    # The derivative I - 2 W^T D W, 0 <= D <= 1, has eigenvalues in [1 - 2 ||W||^2, 1].
    targets = tuple(root((claim + 1) / 2) for claim in claims)
    value = norm(targets)
    proved = _claim_of(value, targets, claims)
    return ONE.max(value * value * 2 - 1 if proved is None else proved)


def _claim_of(value: Any, targets: Claims, claims: Claims) -> Any:
    # A target is proved for every number in its ball, so that its claim holds without the ball's own width.
    return next((claim for target, claim in zip(targets, claims, strict=True) if value is target), None)


def _gradient_residual1d(step: Step, shape: Shape, claims: Claims) -> Any:
    return _residual_of(lambda c: _weight_norm(step, c), claims)


def _gradient_residual2d(step: Step, shape: Shape, claims: Claims) -> Any:
    require(step.attributes["padding_mode"] in ("zeros", "circular"), step, "padding mode")
    return _residual_of(lambda c: convolution_norm(step, shape, c), claims)


def _sandwich(norm: Callable[[Claims], Any], claims: Claims) -> Any:
    # The square of the norm of [A B].
    targets = tuple(map(root, claims))
    value = norm(targets)
    proved = _claim_of(value, targets, claims)
    return value * value if proved is None else proved


def _scale(step: Step, shape: Shape, claims: Claims) -> Any:
    return abs(arb(step.number("factor")))


def _leaky_relu(step: Step, shape: Shape, claims: Claims) -> Any:
    return ONE.max(abs(arb(step.number("slope"))))


def _prelu(step: Step, shape: Shape, claims: Claims) -> Any:
    return ONE.max(largest(absolute(exact(step.arrays["slope"]))))


def _normalize(step: Step, shape: Shape, claims: Claims) -> Any:
    std = step.arrays["std"]
    require(bool((std > 0).all()), step, "std must be positive")
    return largest(ONE / exact(std))


def _batch_norm(step: Step, shape: Shape, claims: Claims) -> Any:
    variances = exact(step.arrays["variance"]) + arb(step.number("eps"))
    require(all(v > 0 for v in variances), step, "variance + eps must be positive")
    weight = absolute(exact(step.arrays.get("weight", np.ones(len(variances)))))
    return largest(weight / square_root(variances))


def _is_skew(step: Step) -> bool:
    weight, groups = step.arrays["weight"], step.whole("groups", 1)
    sides = zip(weight.shape[2:], step.wholes("dilation", 1, 2), strict=True)
    centred = [d * (k // 2) for k, d in sides for _ in (0, 1)] == list(step.wholes("pads", 0, 4))
    parts = weight.reshape(groups, -1, *weight.shape[1:])
    if not centred or parts.shape[1] != parts.shape[2] or any(k % 2 == 0 for k in weight.shape[2:]):
        return False
    return bool(np.array_equal(parts, -np.flip(parts.swapaxes(1, 2), (3, 4))))


def _skew_series2d(step: Step, shape: Shape, claims: Claims) -> Any:
    coefficients = [arb(float(c)) for c in step.attributes["coefficients"]]
    require(len(coefficients) <= _SENSITIVITY, step, "number of coefficients")
    mode = step.attributes["padding_mode"]
    require(mode in ("zeros", "circular"), step, f"padding_mode {mode!r}")
    stored = arb(step.number("norm"))
    slack = (claims[1] / claims[0] - 1) / _SENSITIVITY if claims[0] > 0 else ZERO
    norm = convolution_norm(step, shape, (stored, stored * (1 + slack)))
    if not _is_skew(step):
        return sum((abs(c) * norm**k for k, c in enumerate(coefficients)), ZERO)
    # The eigenvalues are i t with |t| <= norm; |p(i t)|^2 is a polynomial in t^2, whose negative terms are dropped.
    square = ZERO
    for power in range(len(coefficients)):
        pairs = [(j, 2 * power - j) for j in range(len(coefficients)) if 0 <= 2 * power - j < len(coefficients)]
        # i^j times the conjugate of i^k is 1 or -1, as j - k is even.
        term = sum((coefficients[j] * coefficients[k] * (-1) ** ((j - k) // 2 % 2) for j, k in pairs), ZERO)
        square += term.max(ZERO) * norm ** (2 * power)
    return root(square)


_OF_SHAPE = COPY_CONSTANTS | SMOOTH_CONSTANTS | WINDOW_CONSTANTS
"""Constants that are proved without a claim."""

_RULES: dict[str, Callable[[Step, Shape, Claims], Any]] = {
    **{op: lambda step, shape, _, rule=rule: rule(step, shape) for op, rule in _OF_SHAPE.items()},  # type: ignore[misc]
    **dict.fromkeys(ISOMETRIES, _one),
    "batch_norm": _batch_norm,
    "circular_conv_transpose2d": _circular_transposed,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution_norm),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    "frequency_conv2d": lambda step, _, claims: spectrum_norm(step, spectrum_of(step, "spectrum"), claims),
    "frequency_sandwich2d": lambda step, _, claims: _sandwich(
        lambda c: spectrum_norm(step, spectrum_of(step, "weight"), c), claims
    ),
    "gradient_residual1d": _gradient_residual1d,
    "gradient_residual2d": _gradient_residual2d,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "normalize": _normalize,
    "prelu": _prelu,
    "sandwich1d": lambda step, _, claims: _sandwich(lambda c: _weight_norm(step, c), claims),
    "scale": _scale,
    "skew_series2d": _skew_series2d,
}
