"""Convolutions stored as a matrix for each frequency, in balls."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import Balls, collect, exact, full, product
from onelip.certify.paranoid.errors import NotCoveredError, require
from onelip.certify.paranoid.norms import matrix_norm
from onelip.certify.paranoid.torus import WORK, as_real, turn, work


def spectrum_of(step: Step, role: str) -> Array:
    """Read matrices for each frequency.

    Args:
        step: The step.
        role: Which of its arrays.

    Returns:
        `(H, W//2 + 1, groups, rows, columns, 2)`, real and imaginary parts.
    """
    stored = step.arrays[role]
    require(stored.ndim == 6 and stored.shape[-1] == 2, step, f"{role} of shape {stored.shape}")
    return stored


def adjoints(spectrum: Array) -> Array:
    """Take the adjoint of each matrix.

    Args:
        spectrum: `(..., rows, columns, 2)`.

    Returns:
        `(..., columns, rows, 2)`.
    """
    result: Array = spectrum.swapaxes(-3, -2) * np.array([1.0, -1.0])
    return result


def spectrum_norm(step: Step, spectrum: Array, claims: tuple[Any, ...]) -> Any:
    """Bound the norms of all matrices.

    The transforms are unitary but for a factor that cancels, and taking real parts is a projection, so this bounds the
    map of images, too.

    Args:
        step: The step, for complaints.
        spectrum: `(..., rows, columns, 2)`.
        claims: Balls to try to prove, in this order.

    Returns:
        A ball whose upper end is a bound.

    Raises:
        NotCoveredError: If it would take too long.
    """
    matrices = spectrum.reshape(-1, *spectrum.shape[-3:])
    if work(matrices[0], len(matrices)) > WORK:
        raise NotCoveredError(f"{step.op} {step.name!r} is too large to prove its constant in ball arithmetic")
    worst = arb(0)
    for values in matrices:
        worst = worst.max(matrix_norm(as_real(exact(values[..., 0]), exact(values[..., 1])), claims))
    return worst


def _transform(size: int, count: int) -> tuple[Balls, Balls]:
    # Cosines and sines of 2 pi u v / size for u < size and v < count.
    pairs = [turn(u * v % size, size) for u in range(size) for v in range(count)]
    return collect([c for c, _ in pairs], (size, count)), collect([s for _, s in pairs], (size, count))


def _on_rows(table: Balls, x: Balls) -> Balls:
    # table (K, H) on axis 0 of (H, ...).
    return product(table, x.reshape(len(x), -1)).reshape(len(table), *x.shape[1:])


def multiply_frequencies(step: Step, spectrum: Array, x: Balls) -> Balls:
    """Multiply the Fourier coefficients of images by matrices, and take the real part of what results.

    Args:
        step: The step, for complaints.
        spectrum: `(H, W//2 + 1, groups, out/groups, in/groups, 2)`.
        x: `(N, in, H, W)`.

    Returns:
        `(N, out, H, W)`.
    """
    (n, channels, height, width), (_, half, groups, out, inner, _) = x.shape, spectrum.shape
    fits = spectrum.shape[0] == height and half == width // 2 + 1 and groups * inner == channels
    require(fits, step, f"spectrum {spectrum.shape} for input {x.shape}")
    (rc, rs), (cc, cs) = _transform(height, height), _transform(width, half)
    # exp(-i u h) exp(-i v w), first over columns, which are real, then over rows.
    lines = x.transpose(3, 2, 0, 1)
    real, imaginary = _on_rows(cc.T, lines), -_on_rows(cs.T, lines)
    real, imaginary = real.transpose(1, 0, 2, 3), imaginary.transpose(1, 0, 2, 3)
    real, imaginary = (
        _on_rows(rc, real) + _on_rows(rs, imaginary),
        _on_rows(rc, imaginary) - _on_rows(rs, real),
    )
    images = full((height, half, 2, n, groups * out))
    for u, v in np.ndindex(height, half):
        for g in range(groups):
            block = spectrum[u, v, g]
            weight = as_real(exact(block[..., 0]), exact(block[..., 1]))
            window = slice(g * inner, (g + 1) * inner)
            column = np.concatenate([real[u, v][:, window], imaginary[u, v][:, window]], 1)
            y = product(weight, column.T)
            images[u, v, 0, :, g * out : (g + 1) * out] = y[:out].T
            images[u, v, 1, :, g * out : (g + 1) * out] = y[out:].T
    real, imaginary = images[:, :, 0], images[:, :, 1]
    # exp(i u h), then the real part of exp(i v w); a frequency that is not its own mirror image counts twice.
    real, imaginary = (
        _on_rows(rc, real) - _on_rows(rs, imaginary),
        _on_rows(rc, imaginary) + _on_rows(rs, real),
    )
    twice = exact(np.where((np.arange(half) == 0) | (2 * np.arange(half) == width), 1.0, 2.0))
    real, imaginary = real.transpose(1, 0, 2, 3), imaginary.transpose(1, 0, 2, 3)
    back = _on_rows(cc * twice, real) - _on_rows(cs * twice, imaginary)
    return back.transpose(2, 3, 1, 0) / arb(height * width)
