"""Polynomials that map skew operators to nearly orthogonal ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Polynomial, chebyshev


def unit_polynomial(degree: int, deviation: float) -> tuple[float, ...]:
    """Find the real polynomial with |p(i t)|^2 = 1 - d + d T_n(2 t^2 - 1), T_n the Chebyshev polynomial of degree n.

    For -1 <= t <= 1 the right-hand side stays within d of 1 - d, in n + 1 equal ripples in t^2, so p maps a skew
    operator of norm at most 1 to one with singular values in [sqrt(1 - 2 d), 1]: the exponential of another skew one,
    to that accuracy. Of the polynomials with this modulus p is the one with all roots in the left half plane, the
    phase of which turns farthest: with d = 2.5e-5 by 10, 35, 74 and 122 degrees at t = 1 for degrees 2 to 5. Cut after
    as many terms, the series of exp is off by 1e-3 at a turn of 35 degrees with degree 3.

    Args:
        degree: n >= 1.
        deviation: d, between 0 and 1/2.

    Returns:
        c_0 to c_n, p(z) = sum of c_j z^j, with p(0) > 0.

    Paper: none; spectral factorisation of an equal-ripple modulus, as in filter design.
    """
    ripples = Polynomial(chebyshev.cheb2poly([0.0] * degree + [1.0]))(Polynomial([-1.0, 2.0]))
    square = np.asarray((1 - deviation + deviation * ripples).coef, dtype=np.float64)
    # p(z) p(-z) = |p(i t)|^2 with t^2 = -z^2; no root is on the imaginary axis, where it is positive.
    in_z = np.zeros(2 * degree + 1)
    in_z[::2] = square * (-1.0) ** np.arange(degree + 1)
    roots = Polynomial(in_z).roots()
    p = np.asarray(Polynomial.fromroots(roots[roots.real < 0]).coef).real
    return tuple(float(c) for c in p * math.sqrt(square[0]) / p[0])
