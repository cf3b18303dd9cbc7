"""Proved bound of the top eigenvalue of a matrix-valued trigonometric polynomial, by averages over one grid.

For real a_0, ..., a_m let v_l = sum_k a_k a_(k+l) / sum_k a_k^2. The kernel V(w) = sum over |l| <= m of v_l exp(i l w)
is |sum_k a_k exp(i k w)|^2 over sum_k a_k^2, hence never negative, and v_0 = 1. Let A(w) = sum over |l| <= L of
A_l exp(i l w), m = n - L - 1 >= L, and A~ the polynomial of coefficients A_l / v_l. Of the frequencies l + n k of V
only l itself is not above m in size if |l| <= L, so that on the grid w_j = 2 pi j / n

    A(w) = 1/n sum_j V(w - w_j) A~(w_j),    1/n sum_j V(w - w_j) = 1 :

A at any frequency is a weighted mean of A~ on the grid, and lambda_max A(w) <= max_j lambda_max A~(w_j). There is no
error term. With two axes the kernel is a product, and the factors 1/v multiply.

a_k = sin(pi (k + 1) / (m + 2)) makes 1/v_1 = 1/cos(pi / (m + 2)) the least that it can be (Fejer), and
1/v_l = 1 + pi^2 l^2 / (2 n^2) + ...: so A~ is A minus pi^2 / (2 n^2) of its second derivatives. What is constant in w
costs nothing, and the excess falls like 1 / n^2. Unlike branch and bound it is the same for a spectrum that is flat.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

LADDER = (6, 8, 12, 16, 24, 32)
"""Grid points per degree and dimension that are tried."""


def mean_weights(points: int, degree: int) -> list[float]:
    """The factors 1 / v_l by which coefficients grow, for a grid and a degree.

    Args:
        points: n, at least 2 degree + 1.
        degree: L.

    Returns:
        1 / v_0 = 1 to 1 / v_L, each rounded once.
    """
    last = points - degree - 1
    # Whatever floats these are, the kernel is positive: only the quotients below are rounded.
    roots = [Fraction(math.sin(math.pi * (k + 1) / (last + 2))) for k in range(last + 1)]
    sums = [sum((a * b for a, b in zip(roots, roots[lag:], strict=False)), Fraction(0)) for lag in range(degree + 1)]
    return [float(sums[0] / s) for s in sums]


def lag_weights(lags: Tensor, counts: tuple[int, int], reach: tuple[int, int]) -> Tensor:
    """The factors of the coefficients of a polynomial in two variables, off by two units at most.

    Args:
        lags: (m, 2), int64.
        counts: (n_h, n_w), points of the grid; not used in a dimension of degree 0.
        reach: (L_h, L_w), the degree.

    Returns:
        (m,), float64.
    """
    weights = torch.ones(len(lags), dtype=torch.float64)
    for axis, (points, degree) in enumerate(zip(counts, reach, strict=True)):
        if degree:
            weights = weights * torch.tensor(mean_weights(points, degree), dtype=torch.float64)[lags[:, axis].abs()]
    return weights
