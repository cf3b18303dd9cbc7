"""Convolutions stored as a matrix for each frequency, and power series of a convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import above, gamma, plus, root, times
from onelip.certify.checker.convolutions import absolute_norm, padded_correlation, with_bias
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.norms import conv_norm, matrix_norm
from onelip.certify.checker.operations import SLACK, Result, norms, require

Complex = npt.NDArray[np.complex128]

_LARGEST_NORM = 2.0**10

_SENSITIVITY = 32
"""A series of n <= 32 terms changes by at most n times the relative change of the norm of its convolution."""


def read_spectrum(step: Step, role: str) -> Complex:
    """Read matrices for each frequency.

    Args:
        step: The step.
        role: Which of its arrays, `(H, W//2 + 1, groups, rows, columns, 2)`.

    Returns:
        The complex matrices.
    """
    stored = step.arrays[role]
    require(stored.ndim == 6 and stored.shape[-1] == 2, step, f"{role} of shape {stored.shape}")
    spectrum: Complex = stored[..., 0] + 1j * stored[..., 1]
    return spectrum


def _waves(size: int, count: int) -> Complex:
    turns = np.outer(np.arange(size), np.arange(count)) % size
    turns = np.where(2 * turns > size, turns - size, turns)
    table: Complex = np.exp(-2j * np.pi * turns / size)
    return table


def multiply_frequencies(step: Step, spectrum: Complex, x: Array) -> Array:
    """Multiply the Fourier coefficients of images by matrices, and take the real part of what results.

    Args:
        step: The step, for complaints.
        spectrum: `(H, W//2 + 1, groups, out/groups, in/groups)`.
        x: `(N, in, H, W)`.

    Returns:
        `(N, out, H, W)`.
    """
    n, channels, height, width = x.shape
    half, groups = spectrum.shape[1], spectrum.shape[2]
    fits = spectrum.shape[0] == height and half == width // 2 + 1 and groups * spectrum.shape[4] == channels
    require(fits, step, f"spectrum {spectrum.shape} for input {x.shape}")
    rows, columns = _waves(height, height), _waves(width, half)
    coefficients = rows @ (x @ columns)
    grouped = coefficients.transpose(2, 3, 1, 0).reshape(height, half, groups, -1, n)
    product = (spectrum @ grouped).reshape(height, half, -1, n).transpose(3, 2, 0, 1)
    # Frequencies that are their own mirror image count once, all others twice.
    once = np.where((np.arange(half) == 0) | (2 * np.arange(half) == width), 1.0, 2.0)
    back = (rows.conj() @ product) @ (columns.conj() * once).T
    result: Array = back.real / (height * width)
    return result


def largest_matrix(spectrum: Complex) -> float:
    """Find the largest Frobenius norm.

    Args:
        spectrum: `(..., rows, columns)`.

    Returns:
        It, rounded up.
    """
    # Of entries near 1: squares of tiny ones would be 0.
    entries = np.abs(spectrum)
    size = float(entries.max())
    scale = 2.0 ** max(-1000, math.frexp(size)[1]) if 0 < size < 2.0**1000 else 1.0
    return float(np.sqrt(((entries / scale) ** 2).sum((-2, -1)).max())) * scale * SLACK


def relative_error(size: tuple[int, ...], largest: float, constant: float, terms: int) -> float:
    """Bound the rounding error of `multiply_frequencies` relative to the norm of the image.

    Tables of n entries of modulus 1 are off by gamma n, where the product with them has norm sqrt(n); the product with
    S by gamma || |S| ||. All doubled.

    Args:
        size: (H, W).
        largest: From `largest_matrix`.
        constant: Bound of the norm of the map.
        terms: in/groups.

    Returns:
        The factor.
    """
    height, width = size
    side = math.sqrt(height * width)
    unit = gamma(8 * (height + width + terms) + 128)
    own = min(largest, constant)
    before = unit * (math.sqrt(height) * width + height * math.sqrt(width))
    inside = own * before + unit * largest * side
    return 2 * (2 / side * inside + 2 * unit * (1 + 2 / side) * own * side)


def frequency_conv2d(step: Step, x: Array) -> Result:
    """Multiply the Fourier coefficients of images by the stored matrices.

    Args:
        step: Has the array `spectrum` `(H, W//2 + 1, groups, out/groups, in/groups, 2)`, and perhaps `bias`.
        x: `(N, in, H, W)`.

    Returns:
        `(N, out, H, W)`.
    """
    spectrum = read_spectrum(step, "spectrum")
    y = with_bias(step, multiply_frequencies(step, spectrum, x))
    # The constant is proved before anything is evaluated.
    relative = relative_error(x.shape[2:], largest_matrix(spectrum), step.claimed * (1 + 1e-6), spectrum.shape[4])
    return y, norms(x) * relative + norms(y) * gamma(4)


def largest_norm(spectrum: Complex, claimed: float) -> float:
    """Bound the norms of all matrices.

    Args:
        spectrum: `(..., rows, columns)`.
        claimed: What to try to prove.

    Returns:
        The largest bound.
    """
    worst = 0.0
    for matrix in spectrum.reshape(-1, *spectrum.shape[-2:]):
        real, imaginary = matrix.real, matrix.imag
        worst = max(worst, matrix_norm(np.block([[real, -imaginary], [imaginary, real]]), claimed))
    return worst


def frequency_constant(step: Step, claimed: float) -> float:
    """Bound `frequency_conv2d` by the largest norm of a matrix.

    The transforms are unitary but for a factor that cancels, and taking real parts is a projection.

    Args:
        step: The step.
        claimed: What to try to prove.

    Returns:
        The constant.
    """
    return largest_norm(read_spectrum(step, "spectrum"), claimed)


def skew_series2d(step: Step, x: Array) -> Result:
    """Apply c_0 + c_1 A + ... + c_n A^n with a convolution A that keeps the image size, by Horner's rule.

    Args:
        step: Has weight, geometry, `coefficients`, and perhaps bias.
        x: `(N, C, H, W)`.

    Returns:
        The same shape.
    """
    coefficients = _coefficients(step)
    size, terms = absolute_norm(step.arrays["weight"]), step.arrays["weight"][0].size + 3
    # Proved before anything is evaluated.
    norm = step.number("norm") * (1 + 1e-6)
    y = x * coefficients[-1]
    error = norms(y) * gamma(2)
    for coefficient in reversed(coefficients[:-1]):
        local = norms(y) * (size * gamma(terms)) + norms(x) * (abs(coefficient) * gamma(4))
        image = padded_correlation(step, y)
        require(image.shape == x.shape, step, "its convolution changes the shape")
        y = image + coefficient * x
        error = (error * norm + local + norms(y) * gamma(4)) * SLACK
    y = with_bias(step, y)
    return y, error + norms(y) * gamma(2)


def _coefficients(step: Step) -> list[float]:
    values = step.attributes["coefficients"]
    require(isinstance(values, list) and 2 <= len(values) <= _SENSITIVITY, step, "number of coefficients")
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        raise VerificationError(f"coefficients of {step.name!r} must be numbers")
    return [float(v) for v in values]


def _is_skew(step: Step) -> bool:
    weight, groups = step.arrays["weight"], step.whole("groups", 1)
    k_h, k_w = weight.shape[2:]
    pads, dilation = step.wholes("pads", 0, 4), step.wholes("dilation", 1, 2)
    centred = pads == (dilation[0] * (k_h // 2),) * 2 + (dilation[1] * (k_w // 2),) * 2
    parts = weight.reshape(groups, -1, *weight.shape[1:])
    if not (centred and k_h % 2 and k_w % 2 and parts.shape[1] == parts.shape[2]):
        return False
    return bool(np.array_equal(parts, -parts.transpose(0, 2, 1, 3, 4)[..., ::-1, ::-1]))


def series_constant(step: Step, claimed: float) -> float:
    """Bound `skew_series2d`.

    A skew A has eigenvalues i t with |t| <= ||A||, so the norm is the largest |p(i t)|, whose square is a polynomial in
    t^2; its negative terms are dropped. Any other A gives at most the sum of |c_k| ||A||^k.

    Args:
        step: The step.
        claimed: What to try to prove.

    Returns:
        The constant.

    Raises:
        VerificationError: If the norm of the convolution could not be proved, or its padding is neither of zeros nor
            circular.
    """
    coefficients, pads, dilation = _coefficients(step), step.wholes("pads", 0, 4), step.wholes("dilation", 1, 2)
    weight = step.arrays["weight"]
    if step.attributes["padding_mode"] not in ("zeros", "circular"):
        raise VerificationError(f"the norm of {step.name!r} is known for zero and circular padding alone")
    if step.number("norm") < 0:
        raise VerificationError(f"the norm {step.number('norm')!r} of the convolution of {step.name!r} is negative")
    # What underflows is multiplied by up to 31 powers of it.
    require(step.number("norm") <= _LARGEST_NORM, step, f"norm {step.number('norm')!r}")
    extents = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if pads[0] + pads[1] > extents[0] or pads[2] + pads[3] > extents[1]:
        raise VerificationError(f"pads={pads} of {step.name!r} are more than the kernel reaches")
    slack = max(0.0, claimed / step.claimed - 1) / _SENSITIVITY if step.claimed > 0 else 0.0
    target = step.number("norm") * (1 + slack)
    norm = conv_norm(weight, (1, 1), dilation, step.whole("groups", 1), target)
    if norm > target:
        raise VerificationError(f"the norm {target!r} of the convolution of {step.name!r} could not be proved")
    if not _is_skew(step):
        return plus(*(times(abs(c), *[norm] * k) for k, c in enumerate(coefficients)))
    exact = [Fraction(c) for c in coefficients]
    square = Fraction(0)
    for power in range(len(exact)):
        pairs = [(j, 2 * power - j) for j in range(len(exact)) if 0 <= 2 * power - j < len(exact)]
        # i^(j - k) is 1 or -1, as j - k is even.
        term = sum((exact[j] * exact[k] * (-1) ** ((j - k) // 2) for j, k in pairs), Fraction(0))
        square += max(term, Fraction(0)) * Fraction(norm) ** (2 * power)
    return root(above(float(square)))


FOURIER: dict[str, Callable[[Step, Array], Result]] = {
    "frequency_conv2d": frequency_conv2d,
    "skew_series2d": skew_series2d,
}
"""Operations by name."""
