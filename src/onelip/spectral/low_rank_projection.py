"""Lowering of a convolution's symbol where few singular values at each frequency are too large, as after training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.linalg.precision import full_precision
from onelip.spectral.clip_fourier import Symbol

_RANK = 32
"""Singular values that are followed at each frequency; the largest ones, so that more take more steps."""

_FIRST_SWEEPS = 1
_LEAST_SWEEPS = 6
"""So that few steps do not mean that little was looked for."""

_MOST_STEPS = 40

_PATIENCE = 6
"""After so many steps the block is widened wherever all that it follows is still above."""

_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Projected:
    """What a projection found.

    Attributes:
        kernel: Of the shape of the one given.
        before: The largest singular value at the frequencies of the grid, for the kernel given.
        after: The same for the kernel found.
        n_steps: How often the kernel was moved; 0 if it is the one given.
    """

    kernel: Tensor
    before: float
    after: float
    n_steps: int


def project_kernel(kernel: Tensor, symbol: Symbol, max_norm: float, *, tol: float = 5e-3) -> Projected:
    """Move a kernel little until its matrices at the frequencies of a grid have norms at most max_norm (1 + tol).

    With M(k) the matrices, minimises sum_f |(M_f(k) - clipped)|^2 / 2 by accelerated gradient steps from k: what is
    above max_norm at each frequency is taken off, and the transform back is cut to the kernel's taps. The singular
    values above are found by block power steps that go on while the kernel moves, so the cost of a step is that of
    a few products of each matrix with a block of 32 vectors, all frequencies at once.

    Args:
        kernel: `(groups, out, in, taps)`, float32 or float64.
        symbol: Its symbol.
        max_norm: Positive.
        tol: Relative excess that is let be.

    Returns:
        The kernel.

    Paper: Nesterov 1983 (acceleration); Halko, Martinsson and Tropp 2011, arXiv:0909.4061 (block power steps).
    """
    if kernel.shape[-1] == 1:
        return _project_matrices(kernel, max_norm, tol)
    with torch.inference_mode(False), torch.no_grad(), full_precision():
        waves = _Waves(symbol, kernel)
        point = at = kernel
        momentum = 1.0
        search = _Search(waves.matrices(at))
        before = math.nan
        for n_steps in range(_MOST_STEPS + 1):
            matrices = waves.matrices(at)
            top, excess = search.above(matrices, max_norm)
            # What is missed on the way is found while the matrices stay.
            while top <= max_norm * (1 + tol) and (search.n_sweeps < _LEAST_SWEEPS or search.moved):
                search.moved = False
                top, excess = search.above(matrices, max_norm)
            before = top if n_steps == 0 else before
            if top <= max_norm * (1 + tol):
                return Projected(at, before, top, n_steps)
            if n_steps >= _PATIENCE and search.full:
                search.widen()
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            search.moved = True
            new = at - waves.kernel(excess)
            at, point, momentum = new + (momentum - 1) / following * (new - point), new, following
        return Projected(at * (max_norm / top), before, max_norm, n_steps)


# Kernels with one tap are matrices, alike at all frequencies.
def _project_matrices(kernel: Tensor, max_norm: float, tol: float) -> Projected:
    with torch.inference_mode(False), torch.no_grad(), full_precision():
        u, s, vh = torch.linalg.svd(kernel[..., 0], full_matrices=False)
        top = float(s.max())
        if top <= max_norm * (1 + tol):
            return Projected(kernel, top, top, 0)
        excess = (u * (s - max_norm).clamp(min=0.0)[:, None, :]) @ vh
        return Projected(kernel - excess[..., None], top, max_norm, 1)


class _Waves:
    """The transform of kernels to matrices and back, by products of real matrices."""

    def __init__(self, symbol: Symbol, kernel: Tensor) -> None:
        self._shape = kernel.shape
        _taps, self._n_frequencies, self._n_shifts = symbol.waves.shape
        # Without the factors that count pairs of frequencies, as what is bounded are the norms.
        flat = (symbol.waves / symbol.counts.sqrt()[None, :, None]).flatten(1)
        self._forth = torch.cat([flat.real, flat.imag], 1).mT.to(kernel).contiguous()
        weights = symbol.counts.repeat_interleave(self._n_shifts).repeat(2).to(kernel)
        back = self._forth.mT * weights
        # Pairs of frequencies and taps are orthogonal up to one factor, the norm of the transform squared.
        self._back = back / torch.linalg.matrix_norm(back @ self._forth, 2)

    def matrices(self, kernel: Tensor) -> Tensor:
        groups, out, n_in, taps = self._shape
        planes = self._forth @ kernel.permute(3, 0, 1, 2).reshape(taps, -1)
        planes = planes.view(2, self._n_frequencies, self._n_shifts, groups, out, n_in)
        values = torch.complex(planes[0], planes[1]).permute(0, 2, 3, 1, 4)
        return values.reshape(self._n_frequencies * groups, out, -1)

    def kernel(self, matrices: Tensor) -> Tensor:
        groups, out, n_in, taps = self._shape
        values = matrices.view(self._n_frequencies, groups, out, self._n_shifts, n_in).permute(0, 3, 1, 2, 4)
        planes = torch.stack([values.real, values.imag]).reshape(len(self._forth), -1)
        return (self._back @ planes).view(taps, groups, out, n_in).permute(1, 2, 3, 0)


class _Search:
    """The largest singular triplets of many matrices, followed while these change."""

    def __init__(self, matrices: Tensor) -> None:
        self._most = min(matrices.shape[1:])
        self._right = _random(matrices, min(_RANK, self._most))
        self.full = self.moved = False
        self.n_sweeps = 0
        for _ in range(_FIRST_SWEEPS):
            self._right = _orthonormal(matrices.mH @ _orthonormal(matrices @ self._right))

    # Takes a step, and gives the largest value and what exceeds the bound in each matrix.
    def above(self, matrices: Tensor, bound: float) -> tuple[float, Tensor]:
        self.n_sweeps += 1
        left = _orthonormal(matrices @ self._right)
        rows = left.mH @ matrices
        squares, directions = torch.linalg.eigh(rows @ rows.mH)
        s = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
        rows = directions.mH @ rows
        self._right = (rows / s[..., None]).mH
        self.full = self._right.shape[2] < self._most and bool((s[:, 0] > bound).any())
        share = (1 - bound / s).clamp(min=0.0)
        return float(s.max()), (left @ (directions * share[:, None, :])) @ rows

    def widen(self) -> None:
        """Follow up to twice as many."""
        more = min(self._right.shape[2], self._most - self._right.shape[2])
        drawn = _random(self._right.mH, more)
        self._right = torch.cat([self._right, drawn - self._right @ (self._right.mH @ drawn)], dim=2)


# The same block for each of the matrices.
def _random(matrices: Tensor, count: int) -> Tensor:
    n = matrices.shape[2]
    draw = torch.randn(2, n, count, generator=torch.Generator().manual_seed(0)) / n**0.5
    return torch.complex(draw[0], draw[1]).to(matrices).expand(len(matrices), -1, -1)


def _orthonormal(columns: Tensor) -> Tensor:
    products = columns.mH @ columns
    scale = products.diagonal(dim1=-2, dim2=-1).real.mean(-1) + torch.finfo(products.real.dtype).tiny
    products.diagonal(dim1=-2, dim2=-1).add_(_RIDGE * scale[:, None])
    factor, _ = torch.linalg.cholesky_ex(products)
    return torch.linalg.solve_triangular(factor.mH, columns, upper=True, left=False)
