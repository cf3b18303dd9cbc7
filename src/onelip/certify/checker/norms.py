"""Prove that a stored matrix or convolution does not stretch more than claimed. NumPy only.

The one device is a Cholesky factorisation: if it runs to completion in float64 on a Hermitian A of size n, then
A >= -c trace(A) I with c = gamma_(n+1) / (1 - gamma_(n+1)) (Rump 2006). Taken off the diagonal of s I - G beforehand,
that margin proves G <= s I. Complex arithmetic and reciprocals inside of the factorisation are covered by using
gamma_(4n+32) four times over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import above, gamma, plus, root, times
from onelip.certify.checker.network import Array

_TWIDDLE = 2.0**-48
"""Bound of the error of a computed cosine or sine of 2 pi j / n with j reduced to a turn."""

_POINTS_PER_DEGREE = (6, 8, 16, 32, 64, 128)

_BUDGET = 4e11
"""Operations spent on one layer before its claim is given up as not proved."""

_CHUNK = 2**22
"""Entries of frequency matrices held at once."""


def _scaled(w: Array) -> tuple[Array, int]:
    # By a power of two, so that nothing over- or underflows; exact.
    exponent = math.frexp(float(np.abs(w).max()))[1]
    return np.ldexp(w, -exponent), exponent


def _frobenius_squared(w: Array) -> float:
    return float((w * w).sum()) * (1 + gamma(w.size + 4)) + 2.0**-900


def _below(g: npt.NDArray[np.complex128] | Array, s: float) -> bool:
    # Prove g <= s I for a batch of Hermitian matrices `(..., n, n)`; False proves nothing.
    n = g.shape[-1]
    diagonal = np.abs(np.diagonal(g, axis1=-2, axis2=-1))
    margin = 4 * gamma(4 * n + 32) * (n * abs(s) + float(diagonal.sum(-1).max()))
    a = -g
    index = np.arange(n)
    a[..., index, index] = s - margin - np.diagonal(g, axis1=-2, axis2=-1).real
    try:
        factor = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(factor).all())


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
        target = math.ldexp(claimed, -exponent) if claimed < math.inf else best
        if target >= best:
            return _unscaled(best, exponent)
        g = _gram(w)
        square = math.nextafter(target * target, 0.0) - above(error)
        return claimed if square > 0 and _below(g, square) else _unscaled(best, exponent)
    g = _gram(w)
    top = float(np.linalg.eigvalsh(g)[-1])
    for slack in (1e-12, 1e-10, 1e-8, 1e-6):
        s = top * (1 + slack) + 16 * gamma(4 * len(g) + 32) * len(g) * top
        if _below(g, s):
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
    target = math.ldexp(claimed, -exponent) if claimed < math.inf else best
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


Lags = dict[tuple[int, int], Array]


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
    # Prove that the symbol A(w) = sum of A_l exp(i l w) is <= `square` at every w, from its values on a grid.
    #
    # For unit u, p(w) = u* A(w) u is a real trigonometric polynomial of degree L. If lo <= p <= s on n equispaced
    # points per dimension, then p <= c + F h everywhere, c = (s + lo)/2, h = (s - lo)/2,
    # F = 1/(cos(pi L_h/n_h) cos(pi L_w/n_w)) (Ehlich and Zeller 1964). So s = square - (square - lo)(F - 1)/(F + 1).
    reach = max(abs(a) for a, _ in lags), max(abs(b) for _, b in lags)
    n = len(lags[0, 0])
    for points in _POINTS_PER_DEGREE:
        counts = max(1, points * reach[0]), max(1, points * reach[1])
        if counts[0] * counts[1] * (3 * n**3 + n * n * len(lags)) > _BUDGET and points > _POINTS_PER_DEGREE[0]:
            return False
        factor = 1.0
        for count, degree in zip(counts, reach, strict=True):
            factor = times(factor, above(1 / (math.cos(math.pi * degree / count) - _TWIDDLE)))
        transform = _transform_error(lags)
        low = max(_grid_low(lags, counts) - transform, 0.0) - error
        s = square - (square - low) * (factor - 1) / (factor + 1)
        s -= 16 * gamma(4) * square + transform + error
        verdict = _verdict(lags, counts, s, square)
        if verdict != 0:
            return verdict > 0
    return False


def _verdict(lags: Lags, counts: tuple[int, int], s: float, square: float) -> int:
    # 1 if proved, -1 if more points cannot help, 0 if they may.
    for g in _grid(lags, counts):
        if s <= 0 or not _below(g, s):
            return 0 if _below(g, square * (1 + 1e-9)) else -1
    return 1


def _grid_low(lags: Lags, counts: tuple[int, int]) -> float:
    # Bound the bottom eigenvalue on the grid from below by c - ||A(w) - c I||_F, c the mean diagonal of A_0.
    center = float(np.diagonal(lags[0, 0]).mean())
    n = len(lags[0, 0])
    worst = 0.0
    for g in _grid(lags, counts):
        g[:, np.arange(n), np.arange(n)] -= center
        squares = (g.real**2 + g.imag**2).sum((1, 2))
        worst = max(worst, float(squares.max()))
    return center - math.sqrt(worst) * (1 + gamma(2 * n * n + 16)) - 16 * gamma(2) * abs(center)


def _transform_error(lags: Lags) -> float:
    sums = sum((np.abs(m) * (1 if lag == (0, 0) else 2) for lag, m in lags.items()), np.zeros_like(lags[0, 0]))
    norm = root(_frobenius_squared(sums)) * (1 + gamma(len(lags) + 8))
    return 4 * times(plus(gamma(4 * len(lags) + 16), 2 * _TWIDDLE), norm)


def _grid(lags: Lags, counts: tuple[int, int]) -> Iterator[npt.NDArray[np.complex128]]:
    # Go through the symbol at the grid's frequencies, one of each pair w, -w, which have the same eigenvalues.
    n = len(lags[0, 0])
    n_h, n_w = counts
    rows, columns = np.divmod(np.arange(n_h * n_w), n_w)
    first = (-rows % n_h) * n_w + (-columns % n_w) >= np.arange(n_h * n_w)
    rows, columns = rows[first], columns[first]
    offsets = [lag for lag in lags if lag != (0, 0)]
    total, size = n_h * n_w, max(1, _CHUNK // (n * n + len(offsets)))
    for start in range(0, len(rows), size):
        i, j = rows[start : start + size, None], columns[start : start + size, None]
        g = np.broadcast_to(lags[0, 0], (len(i), n, n)).astype(np.complex128)
        if offsets:
            stacked = np.stack([lags[lag] for lag in offsets]).reshape(len(offsets), -1)
            a, b = np.array(offsets).T
            # Whole turns are taken off in integers, so that the angle is within half a turn and its rounding harmless.
            turns = (i * a * n_w + j * b * n_h) % total
            angle = np.where(2 * turns > total, turns - total, turns) * (2 * math.pi / total)
            half = ((np.cos(angle) @ stacked) + 1j * (np.sin(angle) @ stacked)).reshape(-1, n, n)
            g += half + half.conj().transpose(0, 2, 1)
        yield g
