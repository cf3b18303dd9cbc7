"""Norms of convolutions on a torus, which are the norms of finitely many matrices: one for each frequency.

On a torus whose sides are multiples of the stride s, a strided circular convolution acts on each frequency of the
coarse torus of n = N / s pixels on its own: by M(u) = sum over q of P_q exp(2 pi i q u / n), where P_q are the taps of
the kernel that acts on the s_h s_w phases of the image instead of on the image. Its norm is the largest ||M(u)||, no
more, no less; M(-u) is the complex conjugate of M(u).

Any other convolution of an image of H pixels, padded by t + b zeros, is a part of a circular one: the padded image lies
on a torus of N >= H + t + b pixels, on which no tap of a kept output wraps; and so it is for N >= H + e - 1, e being
the extent of the kernel, as outputs further outside see zeros alone. Hence there is nothing between frequencies to
bound, since the certificate is about images of one size.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from flint import arb, fmpq

from onelip.certify.checker.network import Array
from onelip.certify.paranoid.balls import Balls, collect, exact, product
from onelip.certify.paranoid.norms import LARGEST, norm_at_most

Pair = tuple[int, int]

WORK = 4e10
"""Products of balls after which a convolution is taken to be too large, some minutes."""

_CHUNK = 2**19
"""Entries of matrices held at once."""


def phases(kernel: Array, stride: Pair, dilation: Pair) -> Array:
    """Rewrite a strided and dilated kernel as one of stride 1 that acts on the phases of the image.

    Args:
        kernel: `(out, in, kh, kw)`.
        stride: (vertical, horizontal).
        dilation: (vertical, horizontal).

    Returns:
        `(out, in s_h s_w, qh, qw)`.
    """
    out, inner, k_h, k_w = kernel.shape
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, (k_h, k_w), strict=True)]
    counts = [-(-e // s) for e, s in zip(extents, stride, strict=True)]
    result = np.zeros((out, inner, stride[0], stride[1], *counts))
    for a, b in np.ndindex(k_h, k_w):
        (q_h, r_h), (q_w, r_w) = divmod(a * dilation[0], stride[0]), divmod(b * dilation[1], stride[1])
        result[:, :, r_h, r_w, q_h, q_w] = kernel[:, :, a, b]
    return result.reshape(out, -1, *counts)


def work(kernel: Array, size: Pair) -> float:
    """Estimate how long `torus_norm_proof` takes.

    Args:
        kernel: `(out, in, kh, kw)`, of stride 1.
        size: Pixels of the torus.

    Returns:
        Products of balls.
    """
    small, large = sorted(kernel.shape[:2])
    return (size[0] * size[1] / 2 + 1) * 8.0 * small * small * (large + 2 * small) * (1 if small <= LARGEST else 1e9)


def torus_norm_proof(kernel: Array, size: Pair, claims: tuple[Any, ...]) -> Any:
    """Prove the norm of a circular convolution of stride 1.

    Args:
        kernel: `(out, in, kh, kw)`.
        size: Pixels of the torus, (n_h, n_w).
        claims: Balls to try to prove, in this order.

    Returns:
        The claim that holds at every frequency, or None.
    """
    level = 0
    for symbol in symbols(kernel, size):
        while level < len(claims) and not norm_at_most(symbol, claims[level]):
            level += 1
        if level == len(claims):
            return None
    return claims[level]


def symbols(kernel: Array, size: Pair) -> Iterator[Balls]:
    """Evaluate M(u) at one of each pair of frequencies u, -u.

    Args:
        kernel: `(out, in, qh, qw)`.
        size: (n_h, n_w).

    Yields:
        `(2 out, 2 in)`: real matrices [[Re, -Im], [Im, Re]] of the same norm.
    """
    out, inner, q_h, q_w = kernel.shape
    taps = exact(kernel.reshape(out * inner, -1))
    points = [(u, v) for u, v in np.ndindex(*size) if (u, v) <= (-u % size[0], -v % size[1])]
    chunk = max(1, _CHUNK // (out * inner * 2))
    for start in range(0, len(points), chunk):
        part = points[start : start + chunk]
        waves = [_wave(a * u, b * v, size) for a, b in np.ndindex(q_h, q_w) for u, v in part]
        table = collect([number for wave in waves for number in wave], (q_h * q_w, 2 * len(part)))
        for value in product(taps, table).reshape(out, inner, -1, 2).transpose(2, 3, 0, 1):
            yield as_real(value[0], value[1])


def as_real(real: Balls, imaginary: Balls) -> Balls:
    """Write a complex matrix as a real one of twice its size and of the same norm.

    Args:
        real: `(m, n)`.
        imaginary: `(m, n)`.

    Returns:
        `(2 m, 2 n)`.
    """
    return np.concatenate([np.concatenate([real, -imaginary], 1), np.concatenate([imaginary, real], 1)], 0)


def _wave(row: int, column: int, size: Pair) -> tuple[Any, Any]:
    total = size[0] * size[1]
    return turn(int(row * size[1] + column * size[0]) % total, total)


@cache
def turn(numerator: int, denominator: int) -> tuple[Any, Any]:
    """Evaluate a root of unity.

    Args:
        numerator: Of a part of a turn.
        denominator: Of it.

    Returns:
        Cosine and sine of 2 pi times the quotient.
    """
    sine, cosine = arb.sin_cos_pi_fmpq(fmpq(2 * numerator, denominator))
    return cosine, sine
