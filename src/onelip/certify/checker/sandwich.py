"""Sandwich layers y = 2 A^T max(0, B x + b), dense and with matrices [A B] for each frequency."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onelip.certify.checker.arithmetic import gamma, root, times
from onelip.certify.checker.convolutions import two_products_error, with_bias
from onelip.certify.checker.fourier import (
    largest_matrix,
    largest_norm,
    multiply_frequencies,
    read_spectrum,
    relative_error,
)
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.norms import matrix_norm
from onelip.certify.checker.operations import SLACK, Result, norms, require


def _outputs(step: Step, columns: int) -> int:
    outputs = step.whole("outputs", 1)
    require(outputs < columns, step, f"{outputs} outputs of {columns} columns")
    return outputs


def sandwich1d(step: Step, x: Array) -> Result:
    """Apply y = 2 A^T max(0, B x + b) to the last axis.

    Args:
        step: Has `outputs`, the array `weight` [A B] `(inner, out + in)`, and perhaps `bias` `(inner,)`.
        x: `(N, ..., in)`.

    Returns:
        `(N, ..., out)`.
    """
    weight = step.arrays["weight"]
    require(weight.ndim == 2, step, f"weight {weight.shape}")
    outputs = _outputs(step, weight.shape[1])
    require(weight.shape[1] - outputs == x.shape[-1], step, f"weight {weight.shape} for input {x.shape}")
    hidden = x @ weight[:, outputs:].T
    if "bias" in step.arrays:
        require(step.arrays["bias"].shape == (len(weight),), step, "bias must have one entry for each inner feature")
        hidden = hidden + step.arrays["bias"]
    y = 2 * (np.maximum(hidden, 0) @ weight[:, :outputs])
    return y, two_products_error(step, x, y, x[0].size // x.shape[-1])


def frequency_sandwich2d(step: Step, x: Array) -> Result:
    """Apply y = 2 A^H max(0, B x + b), circular, with a matrix [A B] for each frequency.

    Args:
        step: Has `outputs`, the array `weight` `(H, W//2 + 1, groups, inner/groups, (out + in)/groups, 2)`, and perhaps
            `bias` `(inner,)`.
        x: `(N, in, H, W)`.

    Returns:
        `(N, out, H, W)`.
    """
    spectrum = read_spectrum(step, "weight")
    outputs = _outputs(step, spectrum.shape[4])
    before = with_bias(step, multiply_frequencies(step, spectrum[..., outputs:], x))
    adjoint = spectrum[..., :outputs].conj().swapaxes(-2, -1)
    y = 2 * multiply_frequencies(step, adjoint, np.maximum(before, 0))
    # The constant, proved before anything is evaluated, is the square of the norm of [A B].
    own = root(step.claimed * (1 + 1e-6))
    relative = relative_error(x.shape[2:], largest_matrix(spectrum), own, max(spectrum.shape[3:]))
    first = norms(x) * relative + norms(before) * gamma(4)
    return y, 2 * (own * first + norms(before) * relative) * SLACK + norms(y) * gamma(4)


def sandwich_constant(step: Step, claimed: float) -> float:
    """Bound a sandwich by c = ||[A B]||^2, the largest over the frequencies.

    For the differences d of two inputs, z of what the ReLU returns and v = B d of what it is given, <z, v - z> >= 0, so
    |z|^2 <= <B^T z, d> and |2 A^T z|^2 <= 4 c |z|^2 - 4 |B^T z|^2 <= 4 c |B^T z| |d| - 4 |B^T z|^2 <= c^2 |d|^2.

    Args:
        step: The step.
        claimed: What to try to prove.

    Returns:
        The constant.
    """
    target = root(claimed) * (1 - 2.0**-50)
    if step.op == "sandwich1d":
        norm = matrix_norm(step.arrays["weight"], target)
    else:
        norm = largest_norm(read_spectrum(step, "weight"), target)
    return times(norm, norm)


SANDWICH: dict[str, Callable[[Step, Array], Result]] = {
    "frequency_sandwich2d": frequency_sandwich2d,
    "sandwich1d": sandwich1d,
}
"""Operations by name."""
