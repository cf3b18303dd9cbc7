"""Proved bounds of the largest eigenvalue of a matrix-valued trigonometric polynomial, over all frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from onelip.linalg.convolution.frequencies import Frequencies
from onelip.linalg.convolution.refinement import CLOSEST, Aim, Range, low_bound, top_bound
from onelip.linalg.norms import spectral_norms_up, sum_up
from onelip.linalg.rounding import UNIT_ROUNDOFF

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
        return self.residual_interval()[1]

    def residual_interval(self) -> tuple[float, float]:
        """Bound all eigenvalues by c +- sum over l of ||A_l - c [l = 0] I||.

        Returns:
            The least and the largest bound over the groups, rounded outward, for exactly the stored taps.
        """
        return self._interval

    @cached_property
    def _interval(self) -> tuple[float, float]:
        centers = self._centers()
        lags = self.taps.permute(0, 3, 4, 1, 2).flatten(1, 2).clone()
        middle = lags.shape[1] // 2
        lags[:, middle].diagonal(dim1=-2, dim2=-1).sub_(centers[:, None])
        # A_l and A_(-l) have the same norm.
        half = spectral_norms_up(lags[:, : middle + 1])
        norms = 2 * half[:, :middle].sum(-1) + half[:, middle]
        # Terms beyond the lags': the rounding of the differences on the diagonal, and of the last sum.
        high = sum_up(centers + norms, lags.shape[1] + 4)
        # high >= c + R rounded, so c - R >= 2 c - high, but for the rounding of this difference.
        low = 2 * centers - high - 8 * UNIT_ROUNDOFF * high
        return float(low.min()), float(high.max())

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

    def frequency_bound(
        self,
        negative: float,
        nearly_isometric: bool,
        ceiling: float = math.inf,
        aim: Aim = CLOSEST,
    ) -> float:
        """Bound the top eigenvalue by its values at the corners of cells of frequencies, see `refinement`.

        Args:
            negative: A(w) >= -negative I is known, as A is a Gram matrix up to rounding.
            nearly_isometric: The eigenvalues are within a few per cent, so that their lower end is worth proving.
            ceiling: Another bound, returned where this proof cannot be much below.
            aim: What is wanted of the answer.

        Returns:
            The bound, rounded up, for exactly the stored taps.
        """
        frequencies = Frequencies(self.taps)
        low = max(-negative, self.residual_interval()[0])
        if nearly_isometric:
            low = low_bound(frequencies, self.residual_interval()[1], low)
        # Curvatures help where A is nearly constant, which is not where an aim is far from it.
        known = Range(low) if aim.at_least > 0.0 else Range(low, self._curvature())
        return top_bound(frequencies, known, ceiling, aim)

    def _curvature(self) -> tuple[float, float]:
        # Sum over lags of l_h^2 ||A_l|| and of l_w^2 ||A_l||, rounded up; A_l and A_(-l) have the same norm.
        lags = self.taps.permute(0, 3, 4, 1, 2).flatten(1, 2)
        norms = spectral_norms_up(lags[:, : lags.shape[1] // 2], squarings=4)
        reach = self._reach()
        squares = torch.cartesian_prod(*(torch.arange(-r, r + 1).double().square() for r in reach))
        sums = 2 * norms @ squares[: norms.shape[1]]
        high, wide = sum_up(sums, lags.shape[1] + 4).amax(0).tolist()
        return high, wide

    def _centers(self) -> Tensor:
        reach = self._reach()
        return self.taps[..., reach[0], reach[1]].diagonal(dim1=-2, dim2=-1).mean(-1)

    def _reach(self) -> tuple[int, int]:
        return self.taps.shape[-2] // 2, self.taps.shape[-1] // 2
