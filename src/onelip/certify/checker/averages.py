"""Prove that a symbol A(w) = sum over lags of A_l exp(i l w) is below s I everywhere, from one grid. NumPy only.

Take a sequence of numbers f_0 ... f_m and its autocorrelation r_l = sum_k f_k f_(k+l). F(w) = sum_l r_l exp(i l w) is
the squared modulus of sum_k f_k exp(i k w), so nowhere negative. Multiply the lags of A by r_0 / r_l, and call the
symbol B. Averaging B over the grid of n points a turn with the weights F(w - w_j) / (n r_0), which add up to 1, gives
back every exp(i l w) with the factor r_l / r_0, plus what has frequencies l + n, l - n, l + 2 n ... in F: nothing, if
m < n - |l|. So A(w) is an average of B(w_j), and B <= s I on the grid proves A <= s I everywhere. In two dimensions
this is done one axis after the other.
"""

from __future__ import annotations

import math

import numpy as np

from onelip.certify.checker.network import Array
from onelip.certify.checker.refinement import Integers, Known, Lags, symbols
from onelip.certify.checker.semidefinite import all_below

_POINTS = (6, 8, 12, 16, 24, 32)
"""Points per degree and dimension that are tried."""

_MOST = 1.2e12
"""Operations up to which a grid is tried."""

_SAMPLE = 48
"""Points that are looked at to see that a grid cannot do."""


def averages_below(lags: Lags, s: float, known: Known) -> bool:
    """Prove A(w) <= s I at every w.

    Args:
        lags: A_l for half of the lags l, (0, 0) among them; the others are their transposes.
        s: The bound.
        known: What was proved before.

    Returns:
        True if proved; False proves nothing.
    """
    degree = max(abs(a) for a, _ in lags), max(abs(b) for _, b in lags)
    for each in _POINTS:
        shape = max(1, each * degree[0]), max(1, each * degree[1])
        points = _half_grid(shape)
        if 3.0 * len(lags[0, 0]) ** 3 * len(points) > _MOST:
            return False
        growth = [_growth(n, d) if d else np.ones(1) for n, d in zip(shape, degree, strict=True)]
        grown = {(a, b): m * (growth[0][abs(a)] * growth[1][abs(b)]) for (a, b), m in lags.items()}
        # `transform` is 2^-45 of the sizes of all lags or more, and lags have grown by factors off by (4 n + 8) 2^-53.
        room = (2 + max(shape) / 16) * known.transform * float(growth[0].max() * growth[1].max())
        target = s - room - 1e-14 * abs(s)
        if _seen_above(grown, points, shape, s):
            continue
        if all(all_below(g, target) for g in symbols(grown, points, shape)):
            return True
    return False


def _growth(n: int, degree: int) -> Array:
    # r_0 / r_l for l = 0 ... degree. A half-wave makes r_1 / r_0 as large as it can be.
    wave = np.sin(np.pi * np.arange(1, n - degree + 1) / (n - degree + 1))
    r = np.array([float(wave[: len(wave) - lag] @ wave[lag:]) for lag in range(degree + 1)])
    ratios: Array = r[0] / r
    return ratios


def _half_grid(shape: tuple[int, int]) -> Integers:
    # One of each pair w, -w.
    i, j = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    mirrored = -i % shape[0] * shape[1] + -j % shape[1]
    points = np.stack([i, j], -1)
    half: Integers = points[np.arange(len(points)) <= mirrored]
    return half


def _seen_above(lags: Lags, points: Integers, shape: tuple[int, int], s: float) -> bool:
    # Rayleigh quotients at some points: whether one is above s.
    n = len(lags[0, 0])
    start = np.cos(np.outer(np.arange(n) + 1.0, np.array([1.0, 2.3, 3.7])))
    for g in symbols(lags, points[:: max(1, math.ceil(len(points) / _SAMPLE))], shape):
        v = start
        for _ in range(12):
            v = g @ v
            v = v / np.maximum(np.sqrt((np.abs(v) ** 2).sum(-2, keepdims=True)), 1e-300)
        if float((v.conj() * (g @ v)).real.sum(-2).max()) > s:
            return True
    return False
