"""The checker's own Lipschitz constant of each operation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onelip.certify.checker.arithmetic import above, times
from onelip.certify.checker.convolution_norms import padded_norm, transposed_norm
from onelip.certify.checker.copies import COPY_CONSTANTS
from onelip.certify.checker.elementwise import ELEMENTWISE_CONSTANTS
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.fourier import frequency_constant, series_constant
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.norms import conv_norm, matrix_norm
from onelip.certify.checker.sandwich import sandwich_constant
from onelip.certify.checker.scales import SCALE_CONSTANTS
from onelip.certify.checker.windows import WINDOW_CONSTANTS

Shape = tuple[int, ...]
"""Shape of a batch, with the number of samples in front."""


def step_constant(step: Step, shape: Shape, slack: float) -> float:
    """Bound an operation of one input.

    Args:
        step: The operation.
        shape: Shape of its input.
        slack: Relative excess over the claimed constant that is still worth proving.

    Returns:
        A proved constant.

    Raises:
        VerificationError: If the operation is not known, or has no finite constant.
    """
    if step.op in _OF_SHAPE:
        value = _OF_SHAPE[step.op](step, shape)
    elif step.op in _RULES:
        value = _RULES[step.op](step, shape, step.claimed * (1 + slack))
    else:
        raise VerificationError(f"op={step.op!r} of {step.name!r} is not known to this checker")
    if not value < math.inf:
        raise VerificationError(f"{step.op} {step.name!r} has no finite Lipschitz constant")
    return value


def _one(step: Step, shape: Shape, claimed: float) -> float:
    return 1.0


def _linear(step: Step, shape: Shape, claimed: float) -> float:
    return matrix_norm(step.arrays["weight"], claimed)


def _padded(step: Step, shape: Shape, claimed: float) -> float:
    axes = _axes(step, shape)
    sides = step.wholes("pads", 0, 2 * axes)
    return padded_norm(
        step.arrays["weight"],
        shape[2:],
        step.wholes("stride", 1, axes),
        step.wholes("dilation", 1, axes),
        step.whole("groups", 1),
        list(zip(sides[::2], sides[1::2], strict=True)),
        str(step.attributes["padding_mode"]),
        claimed,
    )


def _transposed(step: Step, shape: Shape, claimed: float) -> float:
    axes = _axes(step, shape)
    return transposed_norm(
        step.arrays["weight"],
        shape[2:],
        step.wholes("stride", 1, axes),
        step.wholes("dilation", 1, axes),
        step.whole("groups", 1),
        step.wholes("padding", 0, axes),
        step.wholes("output_padding", 0, axes),
        claimed,
    )


def _axes(step: Step, shape: Shape) -> int:
    axes = step.arrays["weight"].ndim - 2
    if axes != len(shape) - 2 or not 1 <= axes <= 3:
        raise VerificationError(f"weight of {axes} axes of {step.name!r} does not fit an input of shape {shape[1:]}")
    return axes


def _circular_transposed(step: Step, shape: Shape, claimed: float) -> float:
    top, bottom, left, right = step.wholes("pads", 0, 4)
    weight, dilation = step.arrays["weight"], step.wholes("dilation", 1, 2)
    sums = (top + bottom, left + right)
    if any(p > d * (k - 1) for p, d, k in zip(sums, dilation, weight.shape[2:], strict=True)):
        raise VerificationError(f"pads={sums} of {step.name!r} wrap more than the kernel reaches")
    # It must be the adjoint of a map whose output has the size of this input.
    stride = step.wholes("stride", 1, 2)
    for n, s, p, d, k in zip(shape[2:], stride, sums, dilation, weight.shape[2:], strict=True):
        if (n * s + p - d * (k - 1) - 1) // s + 1 != n:
            raise VerificationError(f"{step.name!r} is not the adjoint of a circular convolution at this image size")
    # The adjoint of a convolution, which has the same norm.
    return conv_norm(weight, stride, dilation, step.whole("groups", 1), claimed)


def _gradient_residual(step: Step, shape: Shape, claimed: float) -> float:
    # The derivative I - 2 W^T D W, 0 <= D <= 1, has eigenvalues in [1 - 2 ||W||^2, 1].
    target = math.sqrt((claimed + 1) / 2) * (1 - 2.0**-50)
    weight = step.arrays["weight"]
    if step.op == "gradient_residual1d":
        norm = matrix_norm(weight, target)
    else:
        dilation, pads = step.wholes("dilation", 1, 2), step.wholes("pads", 0, 4)
        sums = pads[0] + pads[1], pads[2] + pads[3]
        if any(p > d * (k - 1) for p, d, k in zip(sums, dilation, weight.shape[2:], strict=True)):
            raise VerificationError(f"pads={pads} of {step.name!r} are more than the kernel reaches")
        norm = conv_norm(weight, (1, 1), dilation, step.whole("groups", 1), target)
    return max(1.0, above(2 * times(norm, norm) - 1))


def _scale(step: Step, shape: Shape, claimed: float) -> float:
    return abs(step.number("factor"))


def _leaky_relu(step: Step, shape: Shape, claimed: float) -> float:
    return max(1.0, abs(step.number("slope")))


def _prelu(step: Step, shape: Shape, claimed: float) -> float:
    return max(1.0, float(np.abs(step.arrays["slope"]).max()))


def _normalize(step: Step, shape: Shape, claimed: float) -> float:
    smallest = float(step.arrays["std"].min())
    if not smallest > 0:
        raise VerificationError(f"std of {step.name!r} must be positive")
    return above(1 / smallest) if smallest != 1 else 1.0


def _batch_norm(step: Step, shape: Shape, claimed: float) -> float:
    sums: Array = step.arrays["variance"] + step.number("eps")
    if not float(sums.min()) > 0:
        raise VerificationError(f"variance + eps of {step.name!r} must be positive")
    weight = np.abs(step.arrays.get("weight", np.ones(len(sums))))
    # Three roundings; one more step for what is below the normal numbers.
    return above(float((weight / np.sqrt(sums)).max()) * (1 + 2.0**-50)) if weight.any() else 0.0


_RULES: dict[str, Callable[[Step, Shape, float], float]] = {
    "abs": _one,
    "batch_norm": _batch_norm,
    "beta_abs": _one,
    "center": _one,
    "channel_pad": _one,
    "channel_shuffle": _one,
    "circular_conv_transpose2d": _circular_transposed,
    "conv1d": _padded,
    "conv2d": _padded,
    "conv3d": _padded,
    "conv_transpose1d": _transposed,
    "conv_transpose2d": _transposed,
    "conv_transpose3d": _transposed,
    "frequency_conv2d": lambda step, _, claimed: frequency_constant(step, claimed),
    "frequency_sandwich2d": lambda step, _, claimed: sandwich_constant(step, claimed),
    "gradient_residual1d": _gradient_residual,
    "gradient_residual2d": _gradient_residual,
    "group_sort": _one,
    "householder": _one,
    "householder2": _one,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "maxmin": _one,
    "maxout": _one,
    "n_activation": _one,
    "normalize": _normalize,
    "permute": _one,
    "pixel_shuffle": _one,
    "pixel_unshuffle": _one,
    "prelu": _prelu,
    "relu": _one,
    "reshape": _one,
    "sandwich1d": lambda step, _, claimed: sandwich_constant(step, claimed),
    "scale": _scale,
    "shift": _one,
    "skew_series2d": lambda step, _, claimed: series_constant(step, claimed),
    "slice": _one,
    "soft_huber": _one,
    "zero_pad2d": _one,
}

_OF_SHAPE = COPY_CONSTANTS | ELEMENTWISE_CONSTANTS | SCALE_CONSTANTS | WINDOW_CONSTANTS
"""Constants that are proved without a claim."""
