"""Lowering of convolutions' symbols where few singular values at each frequency are too large, as after training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import torch
from torch import Tensor
from torch.nn.functional import pad

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

_RIDGE = 100
"""Units of rounding of its trace that are added to a Gram matrix. They keep Cholesky's pivots positive where columns
are missing, as of matrices filled up with zeros, at the cost of a few parts in ten thousand of each value."""

_FAINT = 1e-3
"""Singular values below this share of the largest are noise of the Gram matrix; their vectors are not normalised."""

_SQUARINGS = 14
"""Of a Gram matrix, after which its size exceeds the norm by a ten-thousandth for 500 columns."""


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


def project_kernels(
    kernels: Sequence[Tensor], symbol: Symbol, max_norms: Sequence[float], *, tol: float = 5e-3
) -> list[Projected]:
    """Move kernels little until their matrices at the frequencies of a grid have norms at most max_norm (1 + tol).

    With M(k) the matrices, minimises sum_f |(M_f(k) - clipped)|^2 / 2 by accelerated gradient steps from k: what is
    above max_norm (1 - tol / 2) at each frequency is taken off, and the transform back is cut to the kernel's taps;
    aiming that little lower than needed takes a fifth fewer steps. The singular values above are found by block power
    steps that go on while the kernel moves, so the cost of a step is that of a few products of each matrix with a block
    of 32 vectors, all frequencies of all kernels at once.

    Args:
        kernels: Each `(groups, out, in, taps)`, float32 or float64; groups and taps are alike, and smaller ones are
            filled up with zeros on the way.
        symbol: The symbol of all.
        max_norms: A bound for each.
        tol: Relative excess that is let be.

    Returns:
        What was found for each.

    Paper: Nesterov 1983 (acceleration); Halko, Martinsson and Tropp 2011, arXiv:0909.4061 (block power steps).
    """
    with torch.inference_mode(False), torch.no_grad(), full_precision():
        if kernels[0].shape[-1] == 1:
            return [_project_matrices(k, bound, tol) for k, bound in zip(kernels, max_norms, strict=True)]
        runs = [_Run(kernel, bound, tol) for kernel, bound in zip(kernels, max_norms, strict=True)]
        _descend(runs, symbol)
        return [run.found() for run in runs]


class _Next(Enum):
    MOVE = auto()
    LOOK = auto()
    END = auto()


class _Run:
    """The descent of one kernel among several."""

    def __init__(self, kernel: Tensor, max_norm: float, tol: float) -> None:
        self.kernel = kernel
        self.max_norm = max_norm
        self.aim = max_norm * (1 - tol / 2)
        self.n_steps = 0
        self._limit = max_norm * (1 + tol)
        self._before = math.nan
        self._after = math.nan
        self._found = kernel
        self._n_sweeps = 0
        self._rests = True
        self._momentum = 1.0

    # Go on from the largest singular value that a sweep found.
    def decide(self, top: float) -> _Next:
        self._n_sweeps += 1
        self._after = top
        if top > self._limit and self.n_steps < _MOST_STEPS:
            self._before = top if self.n_steps == 0 else self._before
            self.n_steps += 1
            self._rests = False
            return _Next.MOVE
        # What is missed on the way is found while the matrices stay.
        if top <= self._limit and not (self._rests and self._n_sweeps >= _LEAST_SWEEPS):
            self._rests = True
            return _Next.LOOK
        return _Next.END

    # Share of the last move that is added to this one.
    def momentum(self) -> float:
        before, self._momentum = self._momentum, (1 + (1 + 4 * self._momentum**2) ** 0.5) / 2
        return (before - 1) / self._momentum

    def end(self, at: Tensor) -> None:
        """Take the kernel that was reached, with the zeros that fill it up."""
        out, n_in = self.kernel.shape[1:3]
        if self.n_steps:
            at = at[:, :out, :n_in]
            above = self._after > self._limit
            self._found = at * (self.max_norm / self._after) if above else at.clone()
            self._after = self.max_norm if above else self._after

    # Say what came out.
    def found(self) -> Projected:
        before = self._before if self.n_steps else self._after
        return Projected(self._found, before, self._after, self.n_steps)


def _descend(runs: list[_Run], symbol: Symbol) -> None:
    going = list(runs)
    at = point = _stacked([run.kernel for run in runs])
    waves = _Waves(symbol, at)
    search = _Search(waves.matrices(at), len(going))
    bounds = at.new_tensor([run.aim for run in going])
    while True:
        tops, excess = search.above(waves.matrices(at), bounds)
        nexts = [run.decide(top) for run, top in zip(going, tops, strict=True)]
        if _Next.MOVE in nexts:
            at, point = _moved(at, point, waves.kernel(excess), going, nexts)
            if any(run.n_steps >= _PATIENCE and full for run, full in zip(going, search.full, strict=True)):
                search.widen()
        if _Next.END in nexts:
            for run, kernel, following in zip(going, at, nexts, strict=True):
                if following is _Next.END:
                    run.end(kernel)
            kept = [i for i, following in enumerate(nexts) if following is not _Next.END]
            if not kept:
                return
            going = [going[i] for i in kept]
            at, point, bounds = at[kept], point[kept], bounds[kept]
            search.keep(kept)


def _moved(at: Tensor, point: Tensor, fall: Tensor, going: list[_Run], nexts: list[_Next]) -> tuple[Tensor, Tensor]:
    moves = [following is _Next.MOVE for following in nexts]
    momenta = [run.momentum() if move else 0.0 for run, move in zip(going, moves, strict=True)]
    new = at - fall
    if all(moves) and len(set(momenta)) == 1:
        return torch.add(new, new - point, alpha=momenta[0]), new
    after = new + at.new_tensor(momenta).view(-1, 1, 1, 1, 1) * (new - point)
    mask = torch.tensor(moves, device=at.device).view(-1, 1, 1, 1, 1)
    return torch.where(mask, after, at), torch.where(mask, new, point)


def _stacked(kernels: Sequence[Tensor]) -> Tensor:
    out, n_in = (max(kernel.shape[axis] for kernel in kernels) for axis in (1, 2))
    return torch.stack([pad(k, (0, 0, 0, n_in - k.shape[2], 0, out - k.shape[1])) for k in kernels])


# Kernels with one tap are matrices, alike at all frequencies.
def _project_matrices(kernel: Tensor, max_norm: float, tol: float) -> Projected:
    matrices = kernel[..., 0]
    top = _size(matrices)
    if top <= max_norm * (1 + tol):
        return Projected(kernel, top, top, 0)
    # By the Gram matrix of the shorter side, in a precision in which what is above the bound comes out exact.
    wide = matrices.double() if matrices.shape[1] >= matrices.shape[2] else matrices.double().mT
    squares, right = torch.linalg.eigh(wide.mT @ wide)
    share = 1 - max_norm / squares.clamp(min=0.0).sqrt().clamp(min=max_norm)
    excess = ((wide @ right) * share[:, None, :]) @ right.mT
    excess = excess if matrices.shape[1] >= matrices.shape[2] else excess.mT
    return Projected(kernel - excess[..., None].to(kernel), top, max_norm, 1)


# The largest norm, by |G^(2^n)|^(1 / 2^(n + 1)) with the Frobenius norm: many times as fast on a GPU as by SVD.
def _size(matrices: Tensor) -> float:
    tiny = torch.finfo(matrices.dtype).tiny
    scale = matrices.abs().amax().clamp(min=tiny)
    scaled = matrices / scale
    power = scaled.mT @ scaled if matrices.shape[1] >= matrices.shape[2] else scaled @ scaled.mT
    norms = []
    for _ in range(_SQUARINGS + 1):
        norms.append(torch.linalg.matrix_norm(power).clamp(min=tiny))
        power = power / norms[-1][:, None, None]
        power = power @ power
    logs = torch.stack(norms).double().log() * 2.0 ** -torch.arange(1, _SQUARINGS + 2, device=scale.device)[:, None]
    return float(logs.sum(0).exp().max() * scale)


class _Waves:
    """The transform of stacked kernels to matrices and back, by products of real matrices."""

    def __init__(self, symbol: Symbol, kernels: Tensor) -> None:
        self._shape = kernels.shape[1:]
        _taps, self._n_frequencies, self._n_shifts = symbol.waves.shape
        # Without the factors that count pairs of frequencies, as what is bounded are the norms.
        flat = (symbol.waves / symbol.counts.sqrt()[None, :, None]).flatten(1)
        self._forth = torch.cat([flat.real, flat.imag], 1).mT.to(kernels).contiguous()
        weights = symbol.counts.repeat_interleave(self._n_shifts).repeat(2).to(kernels)
        back = self._forth.mT * weights
        # Pairs of frequencies and taps are orthogonal up to one factor, the norm of the transform squared.
        self._back = back / torch.linalg.matrix_norm(back @ self._forth, 2)

    # To (kernels * groups * frequencies, out, in * shifts).
    def matrices(self, kernels: Tensor) -> Tensor:
        groups, out, n_in, taps = self._shape
        planes = self._forth @ kernels.permute(4, 0, 1, 2, 3).reshape(taps, -1)
        planes = planes.view(2, self._n_frequencies, self._n_shifts, len(kernels) * groups, out, n_in)
        values = torch.complex(planes[0], planes[1]).permute(2, 0, 3, 1, 4)
        return values.reshape(-1, out, self._n_shifts * n_in)

    def kernel(self, matrices: Tensor) -> Tensor:
        groups, out, n_in, taps = self._shape
        values = matrices.view(-1, self._n_frequencies, out, self._n_shifts, n_in).permute(1, 3, 0, 2, 4)
        planes = torch.view_as_real(values).movedim(-1, 0).reshape(len(self._forth), -1)
        return (self._back @ planes).view(taps, -1, groups, out, n_in).permute(1, 2, 3, 4, 0)


class _Search:
    """The largest singular triplets of many matrices, of several kernels, followed while these change."""

    def __init__(self, matrices: Tensor, n_kernels: int) -> None:
        self._most = min(matrices.shape[1:])
        self._n_kernels = n_kernels
        self._right = _random(matrices, min(_RANK, self._most))
        self.full = [False] * n_kernels
        for _ in range(_FIRST_SWEEPS):
            self._right = _orthonormal(matrices.mH @ _orthonormal(matrices @ self._right))

    # Takes a step, and gives each kernel's largest value, and what exceeds its bound in each matrix.
    def above(self, matrices: Tensor, bounds: Tensor) -> tuple[list[float], Tensor]:
        left = _orthonormal(matrices @ self._right)
        rows = left.mH @ matrices
        squares, directions = _eigh(_raised_(rows @ rows.mH, 1.0))
        s = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
        rows = directions.mH @ rows
        self._right = (rows / torch.maximum(s, _FAINT * s[:, -1:])[..., None]).mH
        per_kernel = s.view(self._n_kernels, -1, s.shape[1])
        share = (1 - bounds[:, None, None] / per_kernel).clamp(min=0.0).view_as(s)
        tops, leasts = torch.stack([per_kernel[..., -1].amax(1), per_kernel[..., 0].amax(1) - bounds]).tolist()
        wide = self._right.shape[2] >= self._most
        self.full = [not wide and least > 0 for least in leasts]
        return tops, (left @ (directions * share[:, None, :])) @ rows

    def widen(self) -> None:
        """Follow up to twice as many."""
        more = min(self._right.shape[2], self._most - self._right.shape[2])
        drawn = _random(self._right.mH, more)
        self._right = torch.cat([self._right, drawn - self._right @ (self._right.mH @ drawn)], dim=2)

    def keep(self, kernels: list[int]) -> None:
        """Go on with some of the kernels."""
        self._right = self._right.unflatten(0, (self._n_kernels, -1))[kernels].flatten(0, 1)
        self._n_kernels = len(kernels)


# The same block for each of the matrices.
def _random(matrices: Tensor, count: int) -> Tensor:
    n = matrices.shape[2]
    draw = torch.randn(2, n, count, generator=torch.Generator().manual_seed(0)) / n**0.5
    return torch.complex(draw[0], draw[1]).to(matrices).expand(len(matrices), -1, -1)


# Up to directions that are missing, whose columns come out small.
def _orthonormal(columns: Tensor) -> Tensor:
    factor, _ = torch.linalg.cholesky_ex(_raised_(columns.mH @ columns, _RIDGE))
    return torch.linalg.solve_triangular(factor.mH, columns, upper=True, left=False)


# Adds so many rounding units of the trace to the diagonal of each matrix, in place.
def _raised_(products: Tensor, units: float) -> Tensor:
    numbers = torch.finfo(products.real.dtype)
    diagonal = products.diagonal(dim1=-2, dim2=-1)
    diagonal.add_(units * numbers.eps * diagonal.real.sum(-1, keepdim=True) + numbers.tiny)
    return products


# On a GPU some matrices whose entries differ by many orders of magnitude are given up.
def _eigh(products: Tensor) -> tuple[Tensor, Tensor]:
    try:
        squares, directions = torch.linalg.eigh(products)
    except RuntimeError:
        squares, directions = torch.linalg.eigh(products.cpu().to(torch.complex128))
    return squares.to(products.real), directions.to(products)
