"""Weights made to break proofs, by name: each generator gives one float64 matrix of a size, from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch

Rng: TypeAlias = np.random.Generator
Generator: TypeAlias = Callable[[Rng, int, int], np.ndarray]


def normal(rng: Rng, m: int, n: int) -> np.ndarray:
    return rng.standard_normal((m, n))


def _scaled(low: float, high: float) -> Generator:
    def build(rng: Rng, m: int, n: int) -> np.ndarray:
        exponent = rng.uniform(low, high)
        # In two factors, as 10^exponent itself may under- or overflow.
        with np.errstate(under="ignore"):
            return normal(rng, m, n) * 10.0 ** (exponent / 2) * 10.0 ** (exponent / 2)

    return build


def denormals(rng: Rng, m: int, n: int) -> np.ndarray:
    return rng.integers(-4, 5, (m, n)) * 5e-324


def one_huge(rng: Rng, m: int, n: int) -> np.ndarray:
    w = normal(rng, m, n)
    w[rng.integers(m), rng.integers(n)] = 10.0 ** rng.uniform(5, 300)
    return w


def rank_one(rng: Rng, m: int, n: int) -> np.ndarray:
    return np.outer(rng.standard_normal(m), rng.standard_normal(n))


def rank_deficient(rng: Rng, m: int, n: int) -> np.ndarray:
    k = max(1, min(m, n) - 1)
    return normal(rng, m, k) @ normal(rng, k, n)


def zero(rng: Rng, m: int, n: int) -> np.ndarray:
    return np.zeros((m, n)) * rng.choice([1.0, -1.0], (m, n))


def duplicates(rng: Rng, m: int, n: int) -> np.ndarray:
    w = normal(rng, m, n)
    w[:] = w[rng.integers(m, size=m)]
    return w[:, rng.integers(n, size=n)] * rng.choice([1.0, -1.0], n)


def signed_zeros(rng: Rng, m: int, n: int) -> np.ndarray:
    return rng.choice([0.0, -0.0, 1.0, -1.0], (m, n))


def hadamard(rng: Rng, m: int, n: int) -> np.ndarray:
    size = 1
    h = np.ones((1, 1))
    while size < max(m, n):
        h, size = np.block([[h, h], [h, -h]]), 2 * size
    return h[rng.permutation(size)[:m]][:, rng.permutation(size)[:n]] * rng.choice([1.0, 0.1, 1 / 3])


def cancellation(rng: Rng, m: int, n: int) -> np.ndarray:
    """Inner products that nearly vanish: large entries of alternating sign and a small remainder."""
    w = np.tile(rng.choice([1.0, -1.0], n), (m, 1)) * 10.0 ** rng.uniform(0, 8)
    w[:, ::2] *= -1
    return w + normal(rng, m, n) * 10.0 ** rng.uniform(-12, 0)


def _orthogonal(rng: Rng, m: int, n: int) -> np.ndarray:
    q = np.linalg.qr(normal(rng, max(m, n), min(m, n)))[0]
    return q if m >= n else q.T


def ill_conditioned(rng: Rng, m: int, n: int) -> np.ndarray:
    k = min(m, n)
    return (_orthogonal(rng, m, k) * np.logspace(0, -16, k)) @ _orthogonal(rng, k, n)


def near_isometry(rng: Rng, m: int, n: int) -> np.ndarray:
    return _orthogonal(rng, m, n) * (1 + rng.integers(-4, 5) * 2.0**-53)


def scaled_isometry(rng: Rng, m: int, n: int) -> np.ndarray:
    return _orthogonal(rng, m, n) * 2.0 ** int(rng.integers(-1020, 1020))


def permutation(rng: Rng, m: int, n: int) -> np.ndarray:
    return np.eye(max(m, n))[rng.permutation(max(m, n))][:m, :n] * rng.choice([1.0, 1 - 2.0**-53, 1 + 2.0**-52])


def hilbert(rng: Rng, m: int, n: int) -> np.ndarray:
    return 1.0 / (np.arange(m)[:, None] + np.arange(n) + 1.0)


def row_spread(rng: Rng, m: int, n: int) -> np.ndarray:
    return normal(rng, m, n) * 10.0 ** rng.uniform(-12, 12, (m, 1))


def entry_spread(rng: Rng, m: int, n: int) -> np.ndarray:
    return rng.choice([1.0, -1.0], (m, n)) * 10.0 ** rng.uniform(-300, 300, (m, n))


def alternating(rng: Rng, m: int, n: int) -> np.ndarray:
    return (-1.0) ** (np.arange(m)[:, None] + np.arange(n)) * rng.uniform(0.9, 1.1)


def clustered(rng: Rng, m: int, n: int) -> np.ndarray:
    """The two largest singular values agree to the last digits."""
    k = min(m, n)
    values = np.full(k, 0.5)
    values[:1], values[1:2] = 1.0, 1 - 2.0**-50
    return (_orthogonal(rng, m, k) * values[:k]) @ _orthogonal(rng, k, n)


def big_integers(rng: Rng, m: int, n: int) -> np.ndarray:
    return rng.integers(2**53, 2**60, (m, n)).astype(np.float64)


def _stored(dtype: torch.dtype) -> Generator:
    def build(rng: Rng, m: int, n: int) -> np.ndarray:
        return torch.from_numpy(_orthogonal(rng, m, n)).to(dtype).double().numpy()

    return build


MATRICES: dict[str, Generator] = {
    "alternating": alternating,
    "bfloat16": _stored(torch.bfloat16),
    "big integers": big_integers,
    "cancellation": cancellation,
    "clustered": clustered,
    "denormals": denormals,
    "duplicates": duplicates,
    "entry spread": entry_spread,
    "float32": _stored(torch.float32),
    "hadamard": hadamard,
    "half": _stored(torch.float16),
    "hilbert": hilbert,
    "ill conditioned": ill_conditioned,
    "near isometry": near_isometry,
    "normal": normal,
    "one huge": one_huge,
    "overflow edge": _scaled(150, 300),
    "permutation": permutation,
    "rank deficient": rank_deficient,
    "rank one": rank_one,
    "row spread": row_spread,
    "scaled isometry": scaled_isometry,
    "signed zeros": signed_zeros,
    "underflow edge": _scaled(-320, -160),
    "zero": zero,
}
"""Generators by name; every value is finite."""


def kernel(name: str, rng: Rng, out: int, inner: int, k_h: int, k_w: int) -> np.ndarray:
    """A convolution kernel whose rows of channels and taps are those of a matrix."""
    return MATRICES[name](rng, out, inner * k_h * k_w).reshape(out, inner, k_h, k_w)


def broken(rng: Rng, m: int, n: int) -> list[np.ndarray]:
    """Matrices that no proof may accept."""
    result = []
    for value in (np.nan, np.inf, -np.inf):
        w = normal(rng, m, n)
        w[rng.integers(m), rng.integers(n)] = value
        result.append(w)
    return result
