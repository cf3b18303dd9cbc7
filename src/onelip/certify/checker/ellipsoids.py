"""Matrices C with x x^T <= C for all changes x of a signal, and how layers act on them. NumPy only.

A computed matrix that is off by E, with |E| <= N entrywise and N symmetric, is made an upper bound by adding N p / p to
its diagonal, for a positive vector p (Schur's test).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onelip.certify.checker.arithmetic import above, gamma, plus, root
from onelip.certify.checker.network import Array
from onelip.certify.checker.semidefinite import all_below

TINY = 2.0**-600
"""Above whatever underflow does, as radii, slopes and weights p are limited."""

LIMIT = 2.0**80
"""Radii in units of the ellipsoid must be between 1 / this and this, and slopes below it."""

LEAST = 2.0**-180

SURE = 1 + 1e-9
"""Covers the rounding of error bounds."""


@dataclass(frozen=True, eq=False)
class Cover:
    """x x^T <= matrix 4^power.

    Attributes:
        matrix: `(n, n)`, symmetric, largest diagonal entry in [1/4, 1) or zero.
        power: A whole number.
    """

    matrix: Array
    power: int


def _upward(x: Array) -> Array:
    result: Array = np.nextafter(x, np.inf)
    return result


def _cover(matrix: Array, errors: Array, power: int) -> Cover:
    # `errors` bounds the error of each entry, that of taking the symmetric part included.
    matrix = (matrix + matrix.T) / 2
    p = np.maximum(np.sqrt(np.maximum(np.diagonal(matrix), 0)), LEAST)
    raised = np.diagonal(matrix) + ((errors @ p) / p * SURE + TINY)
    np.fill_diagonal(matrix, _upward(raised))
    exponent = math.frexp(float(raised.max()))[1]
    exponent += exponent % 2
    return Cover(np.ldexp(matrix, -exponent), power + exponent // 2)


def _scaled(w: Array) -> tuple[Array, int]:
    exponent = math.frexp(float(np.abs(w).max()))[1]
    return np.ldexp(w, -exponent), exponent


def _zero(n: int, power: int) -> Cover:
    return Cover(np.zeros((n, n)), power)


def multiplied(weight: Array, cover: Cover | None) -> Cover:
    """Cover the image under a matrix.

    Args:
        weight: `(m, n)`, finite.
        cover: Of n dimensions; None for the unit ball.

    Returns:
        Of m dimensions.
    """
    power = 0 if cover is None else cover.power
    if not weight.any():
        return _zero(len(weight), power)
    w, exponent = _scaled(weight)
    size = np.abs(w)
    if cover is None:
        return _cover(w @ w.T, gamma(w.shape[1] + 4) * (size @ size.T), power + exponent)
    errors = gamma(2 * w.shape[1] + 4) * (size @ np.abs(cover.matrix) @ size.T)
    return _cover(w @ cover.matrix @ w.T, errors, power + exponent)


def stretched(factors: Array, roundings: int, cover: Cover) -> Cover:
    """Cover the image under a diagonal matrix.

    Args:
        factors: `(n,)`, finite.
        roundings: How often each was rounded.
        cover: What to map.

    Returns:
        Its image.
    """
    if not factors.any():
        return _zero(len(factors), cover.power)
    f, exponent = _scaled(factors)
    matrix = np.outer(f, f) * cover.matrix
    return _cover(matrix, gamma(2 * roundings + 8) * np.abs(matrix), cover.power + exponent)


def bent(middle: Array, spread: Array, radii: Array, cover: Cover) -> Cover | None:
    """Cover what an activation makes of changes z: m z + w with |w / h| <= |r z / h| over the entries with r > 0.

    Args:
        middle: `(n,)` m.
        spread: `(n,)` r >= 0.
        radii: `(n,)` h.
        cover: Of z.

    Returns:
        Of m z + w; None if these radii prove nothing.
    """
    if not cover.matrix.any():
        return cover
    h, live = np.ldexp(radii, -cover.power), spread > 0
    if not ((h[live] > 1 / LIMIT) & (h[live] < LIMIT)).all() or not (np.abs(middle) + spread < LIMIT).all():
        return None
    squares = np.where(live, _upward(h * h), 0.0)
    a = _upward(spread[live] / h[live])
    joint = np.concatenate([a, middle])
    rows = np.concatenate([np.flatnonzero(live), np.arange(len(middle))])
    products = np.outer(joint, joint) * cover.matrix[np.ix_(rows, rows)]
    whole = _cover(products, gamma(8) * np.abs(products), 0)
    matrix = np.ldexp(whole.matrix, 2 * whole.power)
    n = int(live.sum())
    b, f, g = matrix[:n, :n], matrix[n:, :n], matrix[n:, n:]
    if not middle.any():
        return _cover(np.diag(squares), 0 * matrix[n:, n:], cover.power) if all_below(b, 1.0) else None
    if n == 0:
        return _cover(g, 0 * g, cover.power)
    inverse = _inverse(b)
    if inverse is None:
        return None
    image = f @ inverse @ f.T
    errors = gamma(2 * n + 4) * (np.abs(f) @ np.abs(inverse) @ np.abs(f).T)
    errors = errors + gamma(6) * (np.abs(g) + np.abs(image) + np.diag(squares))
    return _cover(g + image + np.diag(squares), errors, cover.power)


def _inverse(b: Array) -> Array | None:
    # At least (I - B)^-1, whose norm is at most 1 / (1 - t) where B <= t I.
    values, vectors = np.linalg.eigh(b)
    top = float(values[-1])
    bound = next((t for t in (top + (1 - top) * s for s in (1e-6, 1e-3, 0.5)) if t < 1 and all_below(b, t)), None)
    if bound is None:
        return None
    identity = np.eye(len(b))
    y: Array = (vectors / (1 - values)) @ vectors.T
    y = (y + y.T) / 2
    residual, of_y, of_b = (float(np.linalg.norm(x)) for x in (identity - y + b @ y, y, b))
    residual = residual + gamma(len(b) + 6) * (math.sqrt(len(b)) + of_y + of_b * of_y)
    excess = residual * SURE / (1 - bound) * SURE + TINY
    np.fill_diagonal(y, _upward(np.diagonal(y) + excess))
    return y if math.isfinite(excess) else None


def cut(start: int, stop: int, cover: Cover) -> Cover:
    """Keep a range of coordinates.

    Args:
        start: First one.
        stop: One behind the last.
        cover: What to cut.

    Returns:
        The part.
    """
    part = cover.matrix[start:stop, start:stop]
    return _cover(part, 0 * part, cover.power)


def longest(cover: Cover) -> float:
    """Bound |x|.

    Args:
        cover: Of x.

    Returns:
        The bound; infinite if none could be proved.
    """
    c = cover.matrix
    if not c.any():
        return 0.0
    top = float(np.linalg.eigvalsh(c)[-1])
    for slack in (1e-12, 1e-10, 1e-8, 1e-6):
        square = top * (1 + slack) + 16 * gamma(4 * len(c) + 32) * float(np.trace(c))
        if all_below(c, square):
            return _unscaled(root(plus(square, TINY)), cover.power)
    return math.inf


def gaps(cover: Cover) -> Array:
    """Bound |x_i - x_j|.

    Args:
        cover: Of x.

    Returns:
        `(n, n)`.
    """
    c, d = cover.matrix, np.diagonal(cover.matrix)
    sums = d[:, None] + d
    squares = np.maximum(sums - 2 * c, 0) + gamma(8) * (sums + 2 * np.abs(c)) + TINY
    with np.errstate(over="ignore"):
        result: Array = _upward(np.ldexp(_upward(np.sqrt(_upward(squares))), cover.power))
    return result


def _unscaled(value: float, power: int) -> float:
    try:
        return above(math.ldexp(value, power))
    except OverflowError:
        return math.inf
