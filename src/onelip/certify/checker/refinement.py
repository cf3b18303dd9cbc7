"""Prove that a symbol A(w) = sum over lags of A_l exp(i l w) is below s I at every frequency w. NumPy only.

For a unit vector u, p(w) = u* A(w) u is a real trigonometric polynomial of degree (L_h, L_w). On a rectangle of sides
a and b it exceeds the bilinear interpolant of its corners by at most e = (a^2 max |p_hh| + b^2 max |p_ww|) / 8. The
largest second derivatives are at most C_h and C_w, which are given, and by Bernstein at most L_h^2 (M - m) / 2 and
L_w^2 (M - m) / 2 if p is in [m, M] everywhere, for all u. So let every rectangle of a tiling have A <= (s - e') I at
its corners, where e' is either e with C, or (a^2 L_h^2 + b^2 L_w^2) (s - m) / 16 =: r (s - m) with r < 1. The
supremum M is attained in one of them. There M <= s - e' + e: with C this is s, otherwise M <= s - r (s - m) +
r (M - m), and that is M <= s as well. Rectangles that do not pass are cut into four, which divides e' by four.

Sides are turns over integers, so that the angles are rational. A(-w) is the complex conjugate of A(w), with the same
eigenvalues, so that one rectangle of each pair w, -w is enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import times
from onelip.certify.checker.network import Array
from onelip.certify.checker.semidefinite import all_below, each_below

Lags = dict[tuple[int, int], Array]
Integers = npt.NDArray[np.int64]

TWIDDLE = 2.0**-48
"""Bound of the error of a computed cosine or sine of 2 pi j / n with j reduced to a turn."""

_START = 6
"""Rectangles per degree and dimension at first."""

_DEEPEST = 13
"""Cuts after which the claim is given up; the excess is 1e-8 then."""

_BUDGET = 4e11
"""Operations spent on one claim before it is given up as not proved."""

_DEAR = 8e10
"""Operations for one more level at which the claim is given up at once, if most of the plane must be cut."""

_CHUNK = 2**17
"""Entries of frequency matrices held at once."""


@dataclass(frozen=True)
class Known:
    """What was proved about A beforehand.

    Attributes:
        low: A(w) >= low I for every w.
        curvature: (C_h, C_w), bounds of the norms of the second derivatives of A.
        transform: Bound of the error, in norm, of A as `symbols` evaluates it.
    """

    low: float
    curvature: tuple[float, float]
    transform: float


def symbol_below(lags: Lags, s: float, known: Known) -> bool:
    """Prove A(w) <= s I at every w.

    Args:
        lags: A_l for half of the lags l, (0, 0) among them; the others are their transposes.
        s: The bound.
        known: What was proved before.

    Returns:
        True if proved; False proves nothing.
    """
    degree = max(abs(a) for a, _ in lags), max(abs(b) for _, b in lags)
    shape = max(1, _START * degree[0]), max(1, _START * degree[1])
    cut = np.array([1 + (degree[0] > 0), 1 + (degree[1] > 0)])
    cells = np.stack(np.divmod(np.arange(shape[0] * shape[1]), shape[1]), -1)
    cells = cells[_code(cells, shape) <= _code(-cells - 1, shape)]
    corners = np.stack(np.unravel_index(np.arange(cut.prod()), tuple(cut)), -1)
    whole = len(cells)
    done: Integers = np.zeros((0, 2), dtype=np.int64)
    left = _BUDGET
    cost = 3 * len(lags[0, 0]) ** 3 + len(lags[0, 0]) ** 2 * len(lags)
    for _ in range(_DEEPEST):
        codes = _canonical(cells[:, None] + corners, shape)
        good = _canonical(done, shape)
        new = np.setdiff1d(codes, good)
        left -= cost * len(new)
        passed = _passed(lags, new, shape, s, _excess(known, degree, shape, s) + known.transform) if left > 0 else None
        if passed is None:
            return False
        good = np.concatenate([good, new[passed]])
        cells = cells[~np.isin(codes, good).all(1)]
        if not len(cells):
            return True
        if 2 * len(cells) > whole and 4 * len(cells) * cost > _DEAR:
            return False
        done = np.stack(np.divmod(good, shape[1]), -1) * cut
        cells = (cells[:, None] * cut + corners).reshape(-1, 2)
        shape = shape[0] * int(cut[0]), shape[1] * int(cut[1])
    return False


def _passed(lags: Lags, codes: Integers, shape: tuple[int, int], s: float, room: float) -> npt.NDArray[np.bool_] | None:
    # Which points have A <= (s - room) I; None if one is not even <= s I, so that cuts cannot help.
    target = s - room - 1e-14 * abs(s)
    found = [np.zeros(0, dtype=np.bool_)]
    for g in symbols(lags, np.stack(np.divmod(codes, shape[1]), -1), shape):
        found.append(each_below(g, target))
        failed = g[~found[-1]]
        if len(failed) and not all_below(failed, s * (1 + 1e-9)):
            return None
    return np.concatenate(found)


def _excess(known: Known, degree: tuple[int, int], shape: tuple[int, int], s: float) -> float:
    # e', rounded up, with a = 2 pi / n_h and b = 2 pi / n_w; a constant dimension adds nothing.
    bent = sum(c / n**2 for c, n, d in zip(known.curvature, shape, degree, strict=True) if d)
    ratio = sum((d / n) ** 2 for d, n in zip(degree, shape, strict=True)) * math.pi**2 / 4
    spread = (s - known.low) * (1 + 1e-15) + 1e-15 * abs(known.low)
    return min(times(ratio, spread) * (1 + 1e-14), bent * math.pi**2 / 2 * (1 + 1e-14)) if s > known.low else math.inf


def _code(points: Integers, shape: tuple[int, int]) -> Integers:
    return points[..., 0] % shape[0] * shape[1] + points[..., 1] % shape[1]


def _canonical(points: Integers, shape: tuple[int, int]) -> Integers:
    # One code for w and -w.
    return np.minimum(_code(points, shape), _code(-points, shape))


def symbols(lags: Lags, points: Integers, shape: tuple[int, int]) -> Iterator[npt.NDArray[np.complex128]]:
    """Evaluate A at points (i / n_h, j / n_w) of a turn, in chunks.

    Args:
        lags: A_l for half of the lags, (0, 0) among them.
        points: `(m, 2)`, (i, j).
        shape: (n_h, n_w).

    Yields:
        `(m', n, n)`.
    """
    n = len(lags[0, 0])
    offsets = [lag for lag in lags if lag != (0, 0)]
    total, size = shape[0] * shape[1], max(1, _CHUNK // (n * n + len(offsets)))
    for start in range(0, len(points), size):
        i, j = points[start : start + size, :1], points[start : start + size, 1:]
        g = np.broadcast_to(lags[0, 0], (len(i), n, n)).astype(np.complex128)
        if offsets:
            stacked = np.stack([lags[lag] for lag in offsets]).reshape(len(offsets), -1)
            a, b = np.array(offsets).T
            # Whole turns are taken off in integers, so that the angle is within half a turn and its rounding harmless.
            turns = (i * a * shape[1] + j * b * shape[0]) % total
            angle = np.where(2 * turns > total, turns - total, turns) * (2 * math.pi / total)
            half = ((np.cos(angle) @ stacked) + 1j * (np.sin(angle) @ stacked)).reshape(-1, n, n)
            g += half + half.conj().transpose(0, 2, 1)
        yield g
