"""Proved norm of a convolution of any number of axes, for every image size, from one grid of frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from onelip.linalg.bound import Bound
from onelip.linalg.convolution.banded import operators_norm_bound, proof_cost
from onelip.linalg.convolution.lines import Line, conv_line
from onelip.linalg.convolution.operators import LineOperators
from onelip.linalg.norms import finite_double, power_of_two_scale, scaled_bound
from onelip.linalg.rounding import divide_up, down, multiply_up, sqrt_up, up

_PER_DEGREE = (24, 20, 16, 12, 10, 8)
"""Frequencies for each degree of the symbol and each axis: excess of the norm from 0.6 to 6 % in three dimensions."""

_BUDGET = 2e10
"""Operations that finer grids may cost."""


def grid_norm_bound(weight: Tensor, *, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Bound:
    """Prove an upper bound of the l2 operator norm of a convolution, for every image size.

    p(w) = ||K(w)* u||^2 is a trigonometric polynomial >= 0 of degree L along each axis for each unit vector u. On a
    cell of sides 2 pi / n it exceeds the multilinear interpolant of its corners by at most the sum over axes of
    (2 pi / n)^2 / 8 max |p''|, and |p''| <= L^2 M / 2 by Bernstein's inequality, M the supremum of all p. So
    M <= g + r M with g the largest value on the grid and r = pi^2 / 4 sum of L^2 / n^2, and ||K||^2 = M <= g / (1 - r).

    Args:
        weight: (out, in/groups, k ...), real floating point.
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.

    Returns:
        The proved bound, for zero padding of any amount, and for circular padding of at most d (k - 1) pixels where
        the stride divides the size.
    """
    x = finite_double(weight, "weight")
    if not bool(x.any()):
        return Bound(0.0, True, "zero")
    x, exponent = power_of_two_scale(x)
    x = x.unflatten(0, (groups, -1))
    for per_degree in _PER_DEGREE:
        lines = [_ring(*axis, per_degree) for axis in zip(weight.shape[2:], stride, dilation, strict=True)]
        operators = LineOperators.of(x, lines).at_frequencies(range(len(lines)), [0] * len(lines))
        if proof_cost(operators) <= _BUDGET:
            break
    ratio = math.pi**2 / 4 * sum((_degree(line) / line.ring.length) ** 2 for line in lines)
    outward = divide_up(1.0, down(1.0 - up(ratio * (1 + 2.0**-40))))
    value = multiply_up(operators_norm_bound(operators), sqrt_up(outward))
    return scaled_bound(value, exponent, "grid of frequencies")


def _ring(kernel: int, stride: int, dilation: int, per_degree: int) -> Line:
    # Without a stride, the frequencies of a dilated kernel are those of the kernel, repeated.
    dilation = 1 if stride == 1 else dilation
    degree = -(-dilation * (kernel - 1) // stride)
    size = stride * max(1, per_degree * degree)
    return conv_line(size, kernel, stride=stride, dilation=dilation, pads=(0, dilation * (kernel - 1)), mode="circular")


def _degree(line: Line) -> int:
    shifts = line.offsets // line.stride
    return int(shifts.max() - shifts.min())
