"""Proved upper bound of the operator norm of a convolution, for every image size at once.

With A the kernel of K K^T or K^T K (`autocorrelation`, a stationary operator on the infinite grid),
||K||^2 = sup over frequencies w of the largest eigenvalue of A(w) = sum over lags l of A_l exp(i w l). Zero padding
restricts the infinite convolution to a window on both sides, circular padding samples its frequencies, so the supremum
bounds both.
"""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from onelip.linalg.bound import Bound
from onelip.linalg.convolution.kernels import autocorrelation
from onelip.linalg.convolution.refinement import Aim
from onelip.linalg.convolution.symbol import Symbol
from onelip.linalg.norms import finite_double, frobenius_squared_up, power_of_two_scale, scaled_bound, sum_up
from onelip.linalg.rounding import add_up, gamma, multiply_up, sqrt_up
from onelip.linalg.threads import one_thread

_CLOSE = 1e-6
"""Relative gap between a proof of ||K||^2 and a lower bound of it below which no other proof is tried."""

_SMALL = 256
"""Channels up to which more than one thread is of no use."""

_ROW_SUM_BUDGET = 1e10
"""Operations for a second autocorrelation, from the other side, whose row sums may prove more."""


def conv_norm_bound(
    kernel: Tensor,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    at_least: float = 0.0,
    slack: float = 1e-6,
) -> Bound:
    """Prove an upper bound of the l2 operator norm of a 2-D convolution.

    It holds for every image size, for zero padding of any amount, and for circular padding with
    2 padding <= dilation (k - 1) (the image a multiple of the stride where that is > 1). It is the least of:
      residual     ||K||^2 <= c + sum over lags of ||A_l - c [l = 0] I|| (Schatten-8), c the mean of A_0's diagonal;
      row sums     ||K||^2 <= max_i sum over l, j of |A_l|_ij q_j / q_i for a positive q near the Perron vector, also
                   on the input side without the stride (this proves AOL kernels to be <= 1);
      frequencies  if A(w) <= (s - r s) I at the corners of cells that cover the torus of frequencies, of sides
                   2 pi / n, then ||K||^2 <= s, with r = pi^2 / 4 (L_h^2 / n_h^2 + L_w^2 / n_w^2), L the largest lag:
                   Bernstein's inequality bounds what u* A(w) u exceeds its bilinear interpolant by. Cholesky proves
                   it at each corner; where it fails, the cell is split into four (`refinement`);
      means        A(w) is a mean of the values of another polynomial on a grid (`averaging`), for wide kernels with
                   large singular values at most frequencies.
    Rounding errors of A, of the frequency transform (explicit cosine tables) and of every sum are bounded and added.

    Args:
        kernel: (out, in/groups, kh, kw), real floating point; converted exactly to float64.
        stride: (s_h, s_w).
        dilation: (d_h, d_w). The norm at stride 1 does not depend on it.
        groups: Number of groups; the norm is the largest of the groups'.
        at_least: A smaller bound is of no use, so the first proof of this one is taken: much cheaper than the norm
            itself, if that is a few per cent less.
        slack: Relative excess over the supremum that does no harm; a tenth of the time at 0.01.

    Returns:
        The proved bound: `at_least` or less, or within `slack` of the supremum over all frequencies, but up to 0.2 %
        above it for kernels whose largest singular value is nearly the same at most frequencies, 0.5 % from 512
        channels on and 3 % from 1024 on.

    Raises:
        ValueError: If `kernel` is not such a tensor, has a non-finite entry, or an option does not fit it.

    Cost: k^4 c^3 / 2 for the autocorrelation, then about 300 Cholesky factorisations of complex matrices of size c, the
    smaller channel count per group, for kernels with a clear peak, and up to 3000 for others: 40 to 200 ms for 64
    channels, 3x3, on one thread; 4 ms for orthogonal kernels, which need none.
    Paper: the autocorrelation view of Delattre et al. 2024, arXiv:2402.00240; AOL row sums of Prach and Lampert 2022.
    """
    _check(kernel, stride, dilation, groups)
    x = finite_double(kernel, "kernel")
    if not bool(x.any()):
        return Bound(0.0, True, "zero")
    x, exponent = power_of_two_scale(x)
    # Less than what `at_least` squares to, for the roundings on the way back.
    # No norm of x is near 2^400, so a larger aim is no other one.
    fraction, power = math.frexp(at_least)
    aim = Aim(math.ldexp(fraction, min(power - exponent, 400)) ** 2 * (1 - 1e-12), slack)
    with one_thread(min(x.shape[0] // groups, x.shape[1]) <= _SMALL):
        value, method = _squared_bound(x, stride, dilation, groups, aim)
    return scaled_bound(sqrt_up(value), exponent, method)


def _squared_bound(
    x: Tensor, stride: tuple[int, int], dilation: tuple[int, int], groups: int, aim: Aim
) -> tuple[float, str]:
    out, inner = x.shape[0] // groups, x.shape[1] * stride[0] * stride[1]
    side = "out" if out <= inner else "in"
    error = _autocorrelation_error(x, groups)

    def symbol(stride: tuple[int, int], side: str) -> Symbol:
        taps = autocorrelation(x, stride=stride, dilation=dilation, groups=groups, side=side)
        return Symbol(taps.unflatten(0, (groups, -1)))

    main = symbol(stride, side)
    center = main.center
    residual = add_up(main.residual_bound(), error)
    if residual <= max(aim.at_least, center * (1 + _CLOSE)):
        return residual, "residual"
    proofs = [(residual, "residual"), (add_up(main.row_sum_bound(), error), "row sums")]
    if min(proofs)[0] <= aim.at_least:
        return min(proofs)
    if not aim.at_least and (stride != (1, 1) or side == "out") and _row_sum_cost(x) <= _ROW_SUM_BUDGET:
        # Dropping the stride adds outputs, so the norm cannot fall.
        proofs.append((add_up(symbol((1, 1), "in").row_sum_bound(), error), "row sums"))
    nearly_isometric = residual <= 1.01 * center
    best, method = min(proofs)
    if best <= aim.at_least:
        return best, method
    rest = replace(aim, at_least=max(0.0, aim.at_least - error))
    found = add_up(main.frequency_bound(error, nearly_isometric, best, rest), error)
    return (found, "frequencies") if found < best else (best, method)


def _autocorrelation_error(x: Tensor, groups: int) -> float:
    # |fl(A) - A| <= gamma_n (|K| * |K|), n the terms of a sum; the convolution with |K| has norm at most the sum over
    # taps of ||K_a||_F. One term more for the average that makes A_0 symmetric, and one to cover underflow.
    taps = frobenius_squared_up(x.unflatten(0, (groups, -1)).permute(0, 3, 4, 1, 2)).sqrt().sum((-2, -1))
    norm = float(sum_up(taps, x.shape[2] * x.shape[3] + 2).max())
    terms = max(x.shape[1], x.shape[0] // groups) * x.shape[2] * x.shape[3]
    return multiply_up(gamma(terms + 2), multiply_up(norm, norm))


def _row_sum_cost(x: Tensor) -> float:
    return float(x.shape[0] * (x.shape[1] * x.shape[2] * x.shape[3]) ** 2)


def _check(kernel: Tensor, stride: tuple[int, int], dilation: tuple[int, int], groups: int) -> None:
    if kernel.ndim != 4 or groups < 1 or kernel.shape[0] % groups:
        raise ValueError(
            f"kernel of shape {tuple(kernel.shape)} with groups={groups} is not a convolution; give "
            "(out, in/groups, kh, kw) and a divisor of out"
        )
    for name, pair in (("stride", stride), ("dilation", dilation)):
        if len(pair) != 2 or min(pair) < 1:
            raise ValueError(f"{name}={pair} does not fit a 2-D convolution; give two integers >= 1")
