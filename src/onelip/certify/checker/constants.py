"""The checker's own Lipschitz constant of each operation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onelip.certify.checker import windows
from onelip.certify.checker.arithmetic import above, root, times
from onelip.certify.checker.convolutions import of_height_one
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.fourier import frequency_constant, series_constant
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.norms import conv_norm, matrix_norm
from onelip.certify.checker.sandwich import sandwich_constant

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
    rule = _RULES.get(step.op)
    if rule is None:
        raise VerificationError(f"op={step.op!r} of {step.name!r} is not known to this checker")
    value = rule(step, shape, step.claimed * (1 + slack))
    if not value < math.inf:
        raise VerificationError(f"{step.op} {step.name!r} has no finite Lipschitz constant")
    return value


def _one(step: Step, shape: Shape, claimed: float) -> float:
    return 1.0


def _linear(step: Step, shape: Shape, claimed: float) -> float:
    return matrix_norm(step.arrays["weight"], claimed)


def _conv2d(step: Step, shape: Shape, claimed: float) -> float:
    weight = step.arrays["weight"]
    stride, dilation, groups = step.wholes("stride", 1, 2), step.wholes("dilation", 1, 2), step.whole("groups", 1)
    top, bottom, left, right = step.wholes("pads", 0, 4)
    sizes, pads, mode = shape[2:], ((top, bottom), (left, right)), step.attributes["padding_mode"]
    copies = math.prod(padding_copies(n, *p, mode) for n, p in zip(sizes, pads, strict=True))
    if copies == 1:
        return conv_norm(weight, stride, dilation, groups, claimed)
    within = all(sum(p) <= d * (k - 1) for p, d, k in zip(pads, dilation, weight.shape[2:], strict=True))
    if mode == "circular" and within:
        # A circular convolution samples the frequencies of the infinite one; a stride only drops outputs, but its
        # phases are circular too only if it divides the size.
        divides = all(n % s == 0 for n, s in zip(sizes, stride, strict=True))
        return conv_norm(weight, stride if divides else (1, 1), dilation, groups, claimed)
    factor = root(float(copies))
    return times(factor, conv_norm(weight, stride, dilation, groups, claimed / factor * (1 - 2.0**-50)))


def _conv1d(step: Step, shape: Shape, claimed: float) -> float:
    return _conv2d(of_height_one(step), (*shape[:2], 1, *shape[2:]), claimed)


def padding_copies(size: int, before: int, after: int, mode: str) -> int:
    """Count how often one pixel of a line occurs after padding, at most.

    Args:
        size: Pixels before padding.
        before: Pixels added in front.
        after: Pixels added behind.
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The largest count.
    """
    if mode == "zeros":
        return 1
    name = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}[mode]
    line = np.pad(np.arange(size), (before, after), mode=name)  # type: ignore[call-overload]
    return int(np.bincount(line).max())


def _transposed(step: Step, shape: Shape, claimed: float) -> float:
    # The adjoint of a convolution, which has the same norm; cropping cannot raise it.
    stride, dilation = step.wholes("stride", 1, 2), step.wholes("dilation", 1, 2)
    return conv_norm(step.arrays["weight"], stride, dilation, step.whole("groups", 1), claimed)


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
    return _transposed(step, shape, claimed)


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
    # Three roundings.
    return float((weight / np.sqrt(sums)).max()) * (1 + 2.0**-50)


_RULES: dict[str, Callable[[Step, Shape, float], float]] = {
    "abs": _one,
    "batch_norm": _batch_norm,
    "beta_abs": _one,
    "center": _one,
    "channel_pad": _one,
    "channel_shuffle": _one,
    "circular_conv_transpose2d": _circular_transposed,
    "conv1d": _conv1d,
    "conv2d": _conv2d,
    "conv_transpose2d": _transposed,
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
    "window_max": lambda step, shape, _: windows.overlap_constant(step, shape),
    "window_norm": lambda step, shape, _: windows.overlap_constant(step, shape),
    "window_sum": lambda step, shape, _: windows.sum_constant(step, shape),
    "zero_pad2d": _one,
}
