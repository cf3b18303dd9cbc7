"""Proved bounds of the largest eigenvalue of a matrix-valued trigonometric polynomial, over all frequencies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.linalg.norms import frobenius_squared_up, spectral_norms_up, sum_up
from onelip.linalg.positive import top_eigenvalue_bound
from onelip.linalg.rounding import add_up, divide_up, gamma, multiply_up

_COS_ERROR = 2.0**-48
"""Bound of the error of a computed cos or sin of 2 pi j / n: 32 units; the rounded argument needs 10, libm 2."""

_BUDGETS = ((24, 5e7), (16, 1e8), (12, 2e8), (10, 1e10), (8, 1.2e10), (6, 1.5e10))
"""Grid points per degree, and the operations up to which that many are taken."""

_FEWEST = 5
"""Grid points per degree otherwise; more than 2 are needed."""

_CHUNK = 2**19
"""Entries of frequency matrices held at once."""

_PERRON_STEPS = 60


@dataclass(frozen=True)
class Symbol:
    """A(w) = sum over lags l of A_l exp(i l w), Hermitian because A_(-l) = A_l^T; exactly the stored numbers.

    Attributes:
        taps: (groups, c, c, 2 L_h + 1, 2 L_w + 1), float64 on the CPU, lag 0 in the middle. Groups do not interact.
    """

    taps: Tensor

    @property
    def center(self) -> float:
        """The mean eigenvalue over frequencies of the largest group: a lower bound of the top one, up to rounding."""
        return float(self._centers().max())

    def residual_bound(self) -> float:
        """Bound the top eigenvalue by c + sum over l of ||A_l - c [l = 0] I||, c the mean of the diagonal of A_0.

        Returns:
            The bound, rounded up, for exactly the stored taps.
        """
        centers = self._centers()
        lags = self.taps.permute(0, 3, 4, 1, 2).flatten(1, 2).clone()
        middle = lags.shape[1] // 2
        lags[:, middle].diagonal(dim1=-2, dim2=-1).sub_(centers[:, None])
        # Terms beyond the lags': the rounding of the differences on the diagonal, and of the last sum.
        norms = spectral_norms_up(lags).sum(-1)
        return float(sum_up(centers + norms, lags.shape[1] + 4).max())

    def row_sum_bound(self) -> float:
        """Bound the top eigenvalue by the weighted row sums of B = sum over l of |A_l|.

        max_i (B q)_i / q_i for any positive q (Collatz and Wielandt); q from power iteration nears the Perron root.

        Returns:
            The bound, rounded up, for exactly the stored taps.
        """
        b = self.taps.abs().sum((-2, -1))
        terms = b.shape[-1] + self.taps.shape[-1] * self.taps.shape[-2] + 4
        q = torch.ones_like(b[:, :, :1])
        best = torch.full_like(q[:, :1, 0], math.inf)[:, 0]
        for _ in range(_PERRON_STEPS):
            image = b @ q
            ratio = (image / q).amax((-2, -1))
            best = torch.minimum(best, ratio)
            scale = ratio.clamp(min=1e-300)[:, None, None]
            # Half of the old vector stops oscillation and keeps every weight positive.
            q = q + image / scale
            q = (q / q.amax(-2, keepdim=True)).clamp(min=1e-12)
        return float(sum_up(best, terms).max())

    def frequency_bound(self, negative: float, nearly_isometric: bool, residual: float = 0.0) -> float:
        """Bound the top eigenvalue by its values on a grid, c + h / (cos(pi L_h / n_h) cos(pi L_w / n_w)).

        Args:
            negative: A(w) >= -negative I is known, as A is a Gram matrix up to rounding.
            nearly_isometric: The eigenvalues are within a few per cent, so that few points do and a lower bound on
                the grid is worth proving.
            residual: Bound of the top eigenvalue by `residual_bound`, where they are.

        Returns:
            The bound, rounded up, for exactly the stored taps.
        """
        counts = self._counts(nearly_isometric)
        # Measured from the least that the eigenvalues can be, their spread is found to four digits, not they.
        base = max(0.0, 2 * self.center - residual) if nearly_isometric else 0.0
        high = 0.0
        for matrices in _grid(self.taps, counts):
            matrices.diagonal(dim1=-2, dim2=-1).sub_(base)
            high = top_eigenvalue_bound(matrices, high)
        # The difference on the diagonal is rounded, by at most a unit of base + |A_ii|, and so is the sum here.
        high = add_up(add_up(high, base), 8 * gamma(2) * (base + high))
        low = self._grid_low(counts, high) if nearly_isometric else -math.inf
        low = max(low, -negative)
        center, half = (high + low) / 2, add_up((high - low) / 2, gamma(4) * high)
        factor = 1.0
        for count, reach in zip(counts, self._reach(), strict=True):
            factor = multiply_up(factor, divide_up(1.0, math.cos(math.pi * reach / count) - _COS_ERROR))
        return add_up(center, multiply_up(add_up(half, self._transform_error()), factor))

    def _grid_low(self, counts: tuple[int, int], high: float) -> float:
        gap = 0.0
        for matrices in _grid(self.taps, counts):
            lowered = -matrices
            lowered.diagonal(dim1=-2, dim2=-1).add_(high)
            gap = top_eigenvalue_bound(lowered, gap)
        # The difference on the diagonal is rounded, by at most a unit of high + |A_ii| <= 2 high.
        return high - add_up(gap, 4 * gamma(2) * high)

    def _centers(self) -> Tensor:
        reach = self._reach()
        return self.taps[..., reach[0], reach[1]].diagonal(dim1=-2, dim2=-1).mean(-1)

    def _reach(self) -> tuple[int, int]:
        return self.taps.shape[-2] // 2, self.taps.shape[-1] // 2

    def _counts(self, nearly_isometric: bool) -> tuple[int, int]:
        groups, c = self.taps.shape[:2]
        reach_h, reach_w = self._reach()

        def counts(per_degree: int) -> tuple[int, int]:
            return max(1, per_degree * reach_h), max(1, per_degree * reach_w)

        if nearly_isometric:
            return counts(8)
        for per_degree, budget in _BUDGETS:
            n_h, n_w = counts(per_degree)
            if groups * n_h * n_w * (c**3 + 1e4) <= budget:
                return n_h, n_w
        return counts(_FEWEST)

    def _transform_error(self) -> float:
        # Each real or imaginary entry is a sum of half the lags of (A_l +- A_l^T) times a table entry: off by at most
        # eta sum over l of |A_l|. A Hermitian matrix with both parts below that is below twice its Frobenius norm.
        sums = self.taps.abs().sum((-2, -1))
        terms = self.taps.shape[-2] * self.taps.shape[-1]
        norm = float(sum_up(frobenius_squared_up(sums).sqrt(), 2 * terms + 4).max())
        return 2 * multiply_up(add_up(gamma(terms + 6), 2 * _COS_ERROR), norm)


def _grid(taps: Tensor, counts: tuple[int, int]) -> Iterator[Tensor]:
    # A(w) at the grid frequencies, one of each pair w, -w, in chunks. A(-w) has the same eigenvalues.
    groups, c = taps.shape[:2]
    ahead = taps.flatten(-2)[..., taps.shape[-1] * taps.shape[-2] // 2 :]
    even, odd = ahead + ahead.transpose(1, 2), ahead - ahead.transpose(1, 2)
    even[..., 0] /= 2
    even, odd = even.flatten(0, 2).mT.contiguous(), odd.flatten(0, 2).mT.contiguous()
    cos, sin = _tables((taps.shape[-2] // 2, taps.shape[-1] // 2), counts)
    size = max(1, _CHUNK // (groups * c**2))
    for some_cos, some_sin in zip(cos.split(size), sin.split(size), strict=True):
        shape = (len(some_cos) * groups, c, c)
        real, imaginary = (some_cos @ even).reshape(shape), (some_sin @ odd).reshape(shape)
        yield torch.complex(real, imaginary)


def _tables(reach: tuple[int, int], counts: tuple[int, int]) -> tuple[Tensor, Tensor]:
    n_h, n_w = counts
    lags = torch.cartesian_prod(torch.arange(-reach[0], reach[0] + 1), torch.arange(-reach[1], reach[1] + 1))
    lags = lags[len(lags) // 2 :]
    grid = torch.cartesian_prod(torch.arange(n_h), torch.arange(n_w))
    negated = (-grid[:, 0] % n_h) * n_w + (-grid[:, 1] % n_w)
    grid = grid[negated >= torch.arange(n_h * n_w)]
    # Whole turns are taken off in integers, so that the angle is in [-pi, pi] and its rounding harmless.
    total = n_h * n_w
    turns = (grid[:, :1] * lags[:, 0] * n_w + grid[:, 1:] * lags[:, 1] * n_h) % total
    turns = torch.where(2 * turns > total, turns - total, turns)
    angle = turns.double() * (2 * math.pi / total)
    return angle.cos(), angle.sin()
