"""The matrices of a matrix-valued trigonometric polynomial at rational frequencies, with their rounding error."""

from __future__ import annotations

import math
from copy import copy

import torch
from torch import Tensor

from onelip.linalg.convolution.averaging import lag_weights
from onelip.linalg.norms import frobenius_squared_up, sum_up
from onelip.linalg.rounding import add_up, gamma, multiply_up

_COS_ERROR = 2.0**-48
"""Bound of the error of a computed cos or sin of 2 pi j / n: 32 units; the rounded argument needs 10, libm 2."""

_CHUNK = 2**17
"""Entries held at once."""


class Frequencies:
    """A(w) = sum over lags l of A_l exp(i l w), evaluated by cosine and sine tables at w = 2 pi (i / n_h, j / n_w).

    Args:
        taps: (groups, c, c, 2 L_h + 1, 2 L_w + 1), float64 on the CPU, lag 0 in the middle, A_(-l) = A_l^T.

    Attributes:
        groups: Number of groups, each with its own A.
        size: c.
        reach: (L_h, L_w), the degree.
        error: Bound of the spectral norm of fl(A(w)) - A(w) at every frequency.
    """

    def __init__(self, taps: Tensor) -> None:
        self.groups, self.size = taps.shape[:2]
        self.reach = taps.shape[-2] // 2, taps.shape[-1] // 2
        ahead = taps.flatten(-2)[..., taps.shape[-1] * taps.shape[-2] // 2 :]
        even, odd = ahead + ahead.transpose(1, 2), ahead - ahead.transpose(1, 2)
        even[..., 0] /= 2
        self._even, self._odd = even.flatten(1, 2).mT.contiguous(), odd.flatten(1, 2).mT.contiguous()
        lags = torch.cartesian_prod(*(torch.arange(-r, r + 1) for r in self.reach))
        self._lags = lags[len(lags) // 2 :]
        self.error = _error(taps)

    def matrices(self, points: Tensor, counts: tuple[int, int]) -> Tensor:
        """Evaluate A.

        Args:
            points: (m, 3), int64: group, i, j.
            counts: (n_h, n_w).

        Returns:
            (m, c, c), complex128, Hermitian up to rounding.
        """
        cos, sin = self._tables(points, counts)
        if self.groups == 1:
            real, imaginary = cos @ self._even[0], sin @ self._odd[0]
        else:
            real, imaginary = (t[:, None] @ x[points[:, 0]] for t, x in ((cos, self._even), (sin, self._odd)))
        shape = (len(points), self.size, self.size)
        return torch.complex(real.reshape(shape), imaginary.reshape(shape))

    def averaging(self, counts: tuple[int, int]) -> Frequencies:
        """Make the polynomial whose values on a grid have those of A at all frequencies as weighted means.

        Args:
            counts: (n_h, n_w), points of the grid, at least 2 L + 1 of each.

        Returns:
            A~, see `averaging`.
        """
        weights = lag_weights(self._lags, counts, self.reach)
        made = copy(self)
        made._even, made._odd = (part * weights[:, None] for part in (self._even, self._odd))
        # Four roundings more for each coefficient, beside the hundred and more units that the error stands for.
        made.error = multiply_up(self.error, 1.125 * float(weights.max()))
        return made

    def parts(self, points: Tensor) -> tuple[Tensor, ...]:
        """Split points into parts whose matrices fit into a cache, but into parts of eight at least.

        Args:
            points: (m, ...).

        Returns:
            Some of the points each; none if m = 0.
        """
        copies = 1 if self.groups == 1 else 1 + len(self._lags)
        return points.split(max(8, _CHUNK // (self.size**2 * copies))) if len(points) else ()

    def _tables(self, points: Tensor, counts: tuple[int, int]) -> tuple[Tensor, Tensor]:
        n_h, n_w = counts
        # Whole turns are taken off in integers, so that the angle is in [-pi, pi] and its rounding harmless.
        total = n_h * n_w
        turns = (points[:, 1:2] * self._lags[:, 0] * n_w + points[:, 2:] * self._lags[:, 1] * n_h) % total
        turns = torch.where(2 * turns > total, turns - total, turns)
        angle = turns.double() * (2 * math.pi / total)
        return angle.cos(), angle.sin()


def _error(taps: Tensor) -> float:
    # Each real or imaginary entry is a sum of half the lags of (A_l +- A_l^T) times a table entry: off by at most
    # eta sum over l of |A_l|. A Hermitian matrix with both parts below that is below twice its Frobenius norm.
    sums = taps.abs().sum((-2, -1))
    terms = taps.shape[-2] * taps.shape[-1]
    norm = float(sum_up(frobenius_squared_up(sums).sqrt(), 2 * terms + 4).max())
    return 2 * multiply_up(add_up(gamma(terms + 6), 2 * _COS_ERROR), norm)
