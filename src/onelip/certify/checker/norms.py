"""Prove that a stored matrix or convolution does not stretch more than claimed. NumPy only."""

from __future__ import annotations

import math

import numpy as np

from onelip.certify.checker.arithmetic import above, gamma, plus, root, times
from onelip.certify.checker.averages import averages_below
from onelip.certify.checker.network import Array
from onelip.certify.checker.refinement import TWIDDLE, Known, Lags, symbol_below
from onelip.certify.checker.semidefinite import all_below


def _scaled(w: Array) -> tuple[Array, int]:
    # By a power of two, so that nothing over- or underflows; exact.
    exponent = math.frexp(float(np.abs(w).max()))[1]
    return np.ldexp(w, -exponent), exponent


def rescaled(claimed: float, exponent: int) -> float:
    """Scale a claim like the numbers that it is about.

    Args:
        claimed: The claim, >= 0.
        exponent: The numbers were multiplied by 2^-exponent.

    Returns:
        claimed 2^-exponent; infinite where that overflows.
    """
    try:
        return math.ldexp(claimed, -exponent)
    except OverflowError:
        return math.inf


def _frobenius_squared(w: Array) -> float:
    return float((w * w).sum()) * (1 + gamma(w.size + 4)) + 2.0**-900


def matrix_norm(w: Array, claimed: float | None = None) -> float:
    """Bound the spectral norm of a matrix.

    Args:
        w: `(m, n)`, finite.
        claimed: What to try to prove; None for as little as possible.

    Returns:
        A proved bound: `claimed` if it could be proved.
    """
    if not w.any():
        return 0.0
    w, exponent = _scaled(w)
    frobenius = _frobenius_squared(w)
    size = np.abs(w)
    sums = float(size.sum(0).max()) * float(size.sum(1).max()) * (1 + gamma(sum(w.shape) + 8))
    best = root(min(frobenius, sums))
    # || |W|^T |W| || <= ||W||_F^2, and computed and exact Gram matrix differ by at most gamma_n |W|^T |W|.
    error = times(gamma(max(w.shape) + 4), frobenius)
    if claimed is not None:
        target = rescaled(claimed, exponent)
        if target >= best:
            return _unscaled(best, exponent)
        g = _gram(w)
        square = math.nextafter(target * target, 0.0) - above(error)
        return claimed if square > 0 and all_below(g, square) else _unscaled(best, exponent)
    g = _gram(w)
    top = float(np.linalg.eigvalsh(g)[-1])
    for slack in (1e-12, 1e-10, 1e-8, 1e-6):
        s = top * (1 + slack) + 16 * gamma(4 * len(g) + 32) * len(g) * top
        if all_below(g, s):
            return _unscaled(min(best, root(plus(s, error))), exponent)
    return _unscaled(best, exponent)


def _gram(w: Array) -> Array:
    return w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T


def _unscaled(value: float, exponent: int) -> float:
    try:
        return above(math.ldexp(value, exponent))
    except OverflowError:
        return math.inf


def conv_norm(kernel: Array, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int, claimed: float) -> float:
    """Bound a convolution of any image, padded with zeros or (with at most d (k - 1) pixels) circularly.

    Args:
        kernel: `(out, in/groups, kh, kw)`, finite.
        stride: (vertical, horizontal).
        dilation: (vertical, horizontal).
        groups: Number of groups.
        claimed: What to try to prove.

    Returns:
        A proved bound: `claimed` if it could be proved.
    """
    if not kernel.any():
        return 0.0
    kernel, exponent = _scaled(kernel)
    parts = kernel.reshape(groups, -1, *kernel.shape[1:])
    best = max(_tap_sum(part) for part in parts)
    target = rescaled(claimed, exponent)
    if target >= best:
        return _unscaled(best, exponent)
    if all(_group_below(part, stride, dilation, target) for part in parts):
        return claimed
    return _unscaled(best, exponent)


def _tap_sum(kernel: Array) -> float:
    # A convolution is a sum of shifts, each with one tap's matrix.
    taps = [root(_frobenius_squared(kernel[:, :, i, j])) for i, j in np.ndindex(*kernel.shape[2:])]
    return plus(*taps)


def _group_below(kernel: Array, stride: tuple[int, ...], dilation: tuple[int, ...], target: float) -> bool:
    strided = _without_stride(kernel, stride, dilation)
    taps = _tap_sum(kernel)
    # Each entry of each lag is a sum over taps and over channels of one side.
    error = times(gamma(max(kernel.shape[:2]) * kernel.shape[2] * kernel.shape[3] + 4), taps, taps)
    square = math.nextafter(target * target, 0.0) - error
    if square <= 0:
        return False
    side = 0 if strided.shape[0] <= strided.shape[1] else 1
    lags = _autocorrelation(strided, side)
    if _residual(lags, square) or _row_sums(lags) <= square:
        return True
    # Dropping the stride can only raise the norm, and some kernels are made so that these row sums are at most 1.
    other = _autocorrelation(kernel, 1) if strided is not kernel or side == 0 else lags
    if other is not lags and _row_sums(other) <= square:
        return True
    return _frequencies_below(lags, square, error)


def _without_stride(kernel: Array, stride: tuple[int, ...], dilation: tuple[int, ...]) -> Array:
    # Rewrite a strided convolution as one of stride 1 whose input channels are the phases of the image.
    if tuple(stride) == (1, 1):
        # The frequencies of a dilated kernel are those of the kernel, repeated.
        return kernel
    (s_h, s_w), (d_h, d_w) = stride, dilation
    out, inner, k_h, k_w = kernel.shape
    e_h, e_w = d_h * (k_h - 1) + 1, d_w * (k_w - 1) + 1
    full = np.zeros((out, inner, -(-e_h // s_h) * s_h, -(-e_w // s_w) * s_w))
    full[:, :, :e_h:d_h, :e_w:d_w] = kernel
    phases = full.reshape(out, inner, full.shape[2] // s_h, s_h, full.shape[3] // s_w, s_w)
    return phases.transpose(0, 1, 3, 5, 2, 4).reshape(out, inner * s_h * s_w, phases.shape[2], phases.shape[4])


def _autocorrelation(kernel: Array, side: int) -> Lags:
    # Sum over positions of K[t] K[t + lag]^T (side 0) or K[t]^T K[t + lag] (side 1), for half of the lags.
    k_h, k_w = kernel.shape[2:]
    kernel = kernel if side == 0 else kernel.transpose(1, 0, 2, 3)
    lags: Lags = {}
    for a in range(k_h):
        for b in range(-(k_w - 1), k_w):
            if a == 0 and b < 0:
                continue
            rows = slice(0, k_h - a), slice(a, k_h)
            columns = slice(max(0, -b), k_w - max(0, b)), slice(max(0, b), k_w - max(0, -b))
            first = kernel[:, :, rows[0], columns[0]].reshape(len(kernel), -1)
            second = kernel[:, :, rows[1], columns[1]].reshape(len(kernel), -1)
            lags[a, b] = first @ second.T
    return lags


def _residual(lags: Lags, square: float) -> bool:
    # The top eigenvalue is at most c + the sum over lags of ||A_l - c [l = 0] I||, c the mean diagonal of A_0.
    center = float(np.diagonal(lags[0, 0]).mean())
    parts = [(1, m - center * np.eye(len(m))) if lag == (0, 0) else (2, m) for lag, m in lags.items()]
    room = (square * (1 - gamma(4 * len(lags) + 16)) - center) * (1 - gamma(8))
    frobenius = sum(count * root(_frobenius_squared(part)) for count, part in parts)
    if frobenius <= room:
        return True
    # No spectral norm is below its Frobenius norm by more than the root of the size.
    if room <= 0 or frobenius > room * math.sqrt(len(lags[0, 0])):
        return False
    return sum(count * _spectral(part) for count, part in parts) <= room


def _spectral(m: Array) -> float:
    # Power iteration for an estimate that is a little low, Cholesky for the proof.
    if not m.any():
        return 0.0
    v = np.cos(np.arange(len(m)) + 1.0)
    top = 0.0
    for _ in range(60):
        v = m.T @ (m @ v)
        top = float(np.sqrt((v * v).sum()))
        if not top > 0:
            return root(_frobenius_squared(m))
        v /= top
    estimate = math.sqrt(top)
    for slack in (1.002, 1.02, 1.1):
        bound = matrix_norm(m, estimate * slack)
        if bound <= estimate * slack:
            return bound
    return bound


def _row_sums(lags: Lags) -> float:
    # Bound the top eigenvalue by max_i (B q)_i / q_i with B the sum of all |lags| (Collatz and Wielandt).
    b = np.abs(lags[0, 0])
    for lag, matrix in lags.items():
        if lag != (0, 0):
            b = b + np.abs(matrix) + np.abs(matrix).T
    q = np.ones(len(b))
    best = math.inf
    for _ in range(200):
        image = b @ q
        ratios = image / q
        best = min(best, float(ratios.max()))
        q = np.maximum(q + image / max(float(ratios.max()), 1e-300), 1e-12)
        q = np.maximum(q / q.max(), 1e-12)
    return best * (1 + gamma(len(b) + 2 * len(lags) + 8))


def _frequencies_below(lags: Lags, square: float, error: float) -> bool:
    # All eigenvalues are at least c - the sum over lags of ||A_l - c [l = 0] I||, c the mean diagonal of A_0, and as
    # those of a Gram matrix, at least -error. The second derivatives of A are sums of l^2 A_l exp(i l w).
    first = lags[0, 0]
    center = float(np.diagonal(first).mean())
    norms = {lag: 2 * _spectral(m) for lag, m in lags.items() if lag != (0, 0)}
    outward = 1 + gamma(4 * len(lags) + 16)
    spread = (sum(norms.values()) + _spectral(first - center * np.eye(len(first)))) * outward
    # The centre is taken off with a rounding error of at most a unit of each number.
    low = max(-error, center - spread - 16 * gamma(4) * (abs(center) + spread))
    curvature = tuple(sum(lag[axis] ** 2 * norm for lag, norm in norms.items()) * outward for axis in (0, 1))
    known = Known(low, (curvature[0], curvature[1]), _transform_error(lags))
    return symbol_below(lags, square, known) or averages_below(lags, square, known)


def _transform_error(lags: Lags) -> float:
    sums = sum((np.abs(m) * (1 if lag == (0, 0) else 2) for lag, m in lags.items()), np.zeros_like(lags[0, 0]))
    norm = root(_frobenius_squared(sums)) * (1 + gamma(len(lags) + 8))
    return 4 * times(plus(gamma(4 * len(lags) + 16), 2 * TWIDDLE), norm)
