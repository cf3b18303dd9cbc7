"""Proved bound of the top eigenvalue of a matrix-valued trigonometric polynomial, by branch and bound.

A(w) = sum over lags l of A_l exp(i l w) is Hermitian, of degree (L_h, L_w). For a unit vector u, p(w) = u* A(w) u is a
real trigonometric polynomial of that degree; let its values, over all u and w, be in [low, M]. By Bernstein
|p_hh| <= L_h^2 H and |p_ww| <= L_w^2 H with H = (M - low) / 2, so on a cell of sides 2 pi / n_h and 2 pi / n_w, p is at
most its bilinear interpolant + r (M - low) with r = pi^2 / 4 (L_h^2 / n_h^2 + L_w^2 / n_w^2).

If the plane is covered by cells, of any sizes with r < 1, at whose corners A <= (s - r (s - low)) I, then M <= s: in
the cell where p attains M, M <= s - r (s - low) + r (M - low), that is (M - s) (1 - r) <= 0. As s - r (s - low) grows
with s, a cell that is done for s is done for every larger s. A cell that is not done is split into four, which
divides r by four. Where second derivatives are known to be smaller, |p_hh| <= C_h and |p_ww| <= C_w, the same holds
with pi^2 / 2 (C_h / n_h^2 + C_w / n_w^2) for r (s - low).

Corners are rational multiples of a turn, so that their cosines have the error that `Frequencies` states. A(-w) is the
conjugate of A(w), with the same eigenvalues: half of the plane is enough.

Where the top is flat, all cells are split, and wide matrices are too dear for that: then the means of `averaging`, on
one grid, prove more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from onelip.linalg.convolution.averaging import LADDER
from onelip.linalg.convolution.cells import Cells, cover
from onelip.linalg.convolution.frequencies import Frequencies
from onelip.linalg.positive import all_below, top_eigenvalue_bound
from onelip.linalg.rounding import add_up, divide_up, down, gamma, multiply_up, up

_PER_DEGREE = 6
"""Cells per degree and dimension at first: r = 0.137 in two dimensions."""

_PER_DEGREE_IF_FLAT = 8
"""The same where A is known to be nearly constant, and will be split no further: r = 0.077."""

SLACK = 1e-6
"""How far above the estimated supremum, relatively, the proof is tried unless the caller is content with less."""

_FLAT_SLACK = 4e-5
"""The same where A is known to be nearly constant: another level costs four times as much, all over the plane."""

_CANDIDATES = 4
"""How many matrices of a batch get an accurate estimate."""

_SPLITS = 40
"""Factorisations at most, as a multiple of the cells of the first level."""

_OPERATIONS = (3e8, 3e10)
"""Operations up to which more factorisations, and after which fewer, are spent."""

_PER_MATRIX = 1e4
"""Operations that a matrix of size one costs."""

_AVERAGED_OPERATIONS = 3e11
"""Operations that one grid of `averaging` may cost."""

_AVERAGED_SLACK = 2e-3
"""Relative excess at which no finer grid is tried: half of that in the norm."""

_SAMPLE = 100
"""How many points of a grid are looked at for a first estimate of the largest eigenvalue on it."""

_STEP = 1e-4
"""How far above an estimate of the largest eigenvalue on a grid it is proved to be."""


@dataclass(frozen=True)
class Range:
    """What is known about p(w) = u* A(w) u for all unit vectors u and frequencies w.

    Attributes:
        low: p >= low.
        curvature: (C_h, C_w): |p_hh| <= C_h and |p_ww| <= C_w; infinite if not known.
    """

    low: float
    curvature: tuple[float, float] = (math.inf, math.inf)


@dataclass(frozen=True)
class Aim:
    """What answer is wanted; a proof of a larger one is much cheaper.

    Attributes:
        at_least: A smaller answer is of no use: the target that the search starts from, if positive.
        slack: Relative excess over the supremum that does no harm.
    """

    at_least: float = 0.0
    slack: float = SLACK


CLOSEST = Aim()


@dataclass(frozen=True)
class _Excess:
    """Bounds of what p exceeds its bilinear interpolant by on cells of one size: the smaller one holds.

    Attributes:
        low: p >= low.
        ratio: r, so that r (M - low) is one bound.
        fixed: The other.
    """

    low: float
    ratio: float
    fixed: float

    @classmethod
    def of(cls, known: Range, reach: tuple[int, int], counts: tuple[int, int]) -> _Excess:
        # About ten roundings of positive numbers each.
        squares = sum((degree / count) ** 2 for degree, count in zip(reach, counts, strict=True))
        sizes = zip(reach, known.curvature, counts, strict=True)
        bent = sum(curvature / count**2 for degree, curvature, count in sizes if degree)
        outward = math.pi**2 * (1 + 2.0**-48)
        return cls(known.low, squares / 4 * outward, bent / 2 * outward)

    def below(self, target: float) -> float:
        # How much lower than the target the corners must be, rounded up.
        return min(multiply_up(self.ratio, up(target - self.low)), self.fixed)

    def above(self, corners: float) -> float:
        # What follows for M if the corners of the cells are at most this, rounded up.
        grown = add_up(self.low, divide_up(up(corners - self.low), down(1.0 - self.ratio)))
        return min(grown, add_up(corners, self.fixed))


class _Search:
    """Branch and bound with a target s that rises to just above the largest eigenvalue met so far."""

    def __init__(self, frequencies: Frequencies, known: Range, ceiling: float, aim: Aim) -> None:
        self.frequencies = frequencies
        self.known = known
        self.ceiling = ceiling
        self.target, self.slack = aim.at_least, aim.slack
        self.spent = 0
        start = torch.Generator().manual_seed(0)
        self.block = torch.randn(1, frequencies.size, min(frequencies.size, 6), dtype=torch.complex128, generator=start)

    def run(self) -> float:
        # Split cells until all are done, or enough is spent.
        flat = self.known.low > 0.9 * self.ceiling
        cells = self._cover(_PER_DEGREE_IF_FLAT if flat else _PER_DEGREE)
        passed = torch.empty(0, dtype=torch.int64)
        excess = self._excess(cells)
        hopeless = torch.zeros(0, dtype=torch.bool)
        if self.target == 0.0:
            hopeless = self._start(cells.points(cells.corners().unique()), cells.counts, excess)
        least, most = (operations / (self.frequencies.size**3 + _PER_MATRIX) for operations in _OPERATIONS)
        budget = min(max(_SPLITS * len(cells.lower), least), most)
        while self.target < self.ceiling:
            corners = cells.corners()
            codes = corners.unique()
            known = torch.isin(codes, passed)
            new = codes[~known]
            good, left = self._below(cells.points(new), cells.counts, excess, hopeless)
            passed = torch.cat([codes[known], new[good]])
            cells = replace(cells, lower=cells.lower[~torch.isin(corners, passed).all(1)])
            if not len(cells.lower):
                return self.target
            # At worst, where all neighbours are split as well, a cell adds four corners.
            enough = self.spent + 4 * len(cells.lower) > budget
            if enough or excess.below(self.target) < (_FLAT_SLACK if flat else self.slack / 4) * self.target:
                return self._averaged(self._proved(left, cells.counts, excess))
            points = cells.points(passed) * torch.tensor(cells.steps)
            cells = cells.split()
            passed = cells.canonical(points)
            excess = self._excess(cells)
            hopeless = torch.zeros(0, dtype=torch.bool)
        return self.ceiling

    def _cover(self, per_degree: int) -> Cells:
        return cover(self.frequencies.reach, self.frequencies.groups, per_degree)

    def _excess(self, cells: Cells) -> _Excess:
        return _Excess.of(self.known, self.frequencies.reach, cells.counts)

    def _start(self, points: Tensor, counts: tuple[int, int], excess: _Excess) -> Tensor:
        # Set the target, and find the points whose eigenvalue is too large to be worth a factorisation.
        sizes, candidates = self._sizes(self.frequencies, points, counts)
        self._raise(candidates)
        return sizes > self._threshold(excess)

    def _sizes(self, frequencies: Frequencies, points: Tensor, counts: tuple[int, int]) -> tuple[Tensor, Tensor]:
        # Low estimates of the largest eigenvalues, and a few matrices among which is the largest of all.
        sizes: list[Tensor] = []
        best: list[Tensor] = []
        for part in frequencies.parts(points):
            matrices = frequencies.matrices(part, counts)
            sizes.append(_sizes(matrices, self.block, self.known.low))
            matrices = matrices[sizes[-1].topk(min(_CANDIDATES, len(matrices))).indices]
            best = [self._largest(torch.cat([*best, matrices]))]
        return torch.cat(sizes), best[0]

    def _threshold(self, excess: _Excess) -> float:
        # For the stored matrices, whose error is taken off.
        return down(down(self.target - excess.below(self.target)) - self.frequencies.error)

    def _below(
        self, points: Tensor, counts: tuple[int, int], excess: _Excess, hopeless: Tensor
    ) -> tuple[Tensor, Tensor]:
        # Which points are proved to be low enough for the cells around them to be done, and those that are not even
        # proved to be below the target.
        tried = torch.arange(len(points)) if not len(hopeless) else (~hopeless).nonzero()[:, 0]
        result = torch.zeros(len(points), dtype=torch.bool)
        left = [points[hopeless]] if len(hopeless) else []
        for part in self.frequencies.parts(tried):
            matrices = self.frequencies.matrices(points[part], counts)
            self.spent += len(part)
            good = all_below(matrices, self._threshold(excess))
            result[part] = good
            if not bool(good.all()):
                left.append(points[part][~good][self._above(matrices[~good])])
        return result, torch.cat(left) if left else points[:0]

    def _above(self, matrices: Tensor) -> Tensor:
        # Raise the target over those of the matrices that are above it, and tell which still are.
        above = ~all_below(matrices, self.target)
        if bool(above.any()):
            self._raise(self._largest(matrices[above]))
            above[above.clone()] = ~all_below(matrices[above], self.target)
        return above

    def _largest(self, matrices: Tensor) -> Tensor:
        if len(matrices) <= _CANDIDATES:
            return matrices
        return matrices[_sizes(matrices, self.block, self.known.low).topk(_CANDIDATES).indices]

    def _raise(self, matrices: Tensor) -> None:
        top, self.block = _top_estimate(matrices, self.block, self.known.low, self.target)
        self.target = max(self.target, top * (1 + self.slack) + 2 * self.frequencies.error)

    def _proved(self, points: Tensor, counts: tuple[int, int], excess: _Excess) -> float:
        # The stored matrices at all other corners of the cells that are not done are below the target.
        top = self.target
        for part in self.frequencies.parts(points):
            top = top_eigenvalue_bound(self.frequencies.matrices(part, counts), top)
        return max(self.target, excess.above(add_up(top, self.frequencies.error)))

    def _averaged(self, best: float) -> float:
        # Where cells are still too large: means over grids (`averaging`), as fine as the excess asks for, which falls
        # like the square of their step.
        slack = max(_AVERAGED_SLACK, self.slack)
        rungs = [r for r in LADDER if r == LADDER[0] or self._affords(r)]
        while rungs and best > self.target * (1 + slack):
            found = self._over_grid(rungs[0])
            best = min(best, found)
            wanted = rungs[0] * math.sqrt(max(0.0, found / self.target - 1) / slack)
            rungs = [r for r in rungs if r > rungs[0] and r >= wanted] or rungs[1:][-1:]
        return best

    def _affords(self, per_degree: int) -> bool:
        points = math.prod(max(1, per_degree * degree) for degree in self.frequencies.reach) / 2
        return self.frequencies.groups * points * (self.frequencies.size**3 + _PER_MATRIX) <= _AVERAGED_OPERATIONS

    def _over_grid(self, per_degree: int) -> float:
        cells = self._cover(per_degree)
        points = cells.points(cells.corners().unique())
        means = self.frequencies.averaging(cells.counts)
        sample = points[:: -(-len(points) // _SAMPLE)]
        candidates = self._sizes(means, sample, cells.counts)[1]
        top = max(self.target, _top_estimate(candidates, self.block, self.known.low, self.target)[0] * (1 + _STEP))
        for part in means.parts(points):
            matrices, step = means.matrices(part, cells.counts), _STEP
            while len(matrices := matrices[~all_below(matrices, top)]):
                if step > 1:
                    return math.inf
                found, _ = _top_estimate(self._largest(matrices), self.block, self.known.low, self.target)
                top, step = max(top, found) * (1 + step), 2 * step
        return add_up(top, means.error)


def top_bound(frequencies: Frequencies, known: Range, ceiling: float = math.inf, aim: Aim = CLOSEST) -> float:
    """Prove an upper bound of the top eigenvalue of A(w) over all frequencies.

    Args:
        frequencies: A.
        known: The narrower this range is, the fewer cells need to be split.
        ceiling: Another bound; once the supremum is seen not to be below it by more than 1e-6, the search ends.
        aim: What is wanted of the answer.

    Returns:
        `ceiling`, or the bound, rounded up, for exactly the stored taps: within the slack of the supremum, but
        some thousandths above it where more cells are near it than the budget of factorisations can split.

    Cost: about 300 Cholesky factorisations for 3x3 kernels where few frequencies are near the top, at most about 3000
    (more for small and fewer for large matrices), or 2100 for one grid.
    """
    if any(frequencies.reach):
        return _Search(frequencies, known, ceiling, aim).run()
    points = torch.arange(frequencies.groups)[:, None] * torch.tensor([1, 0, 0])
    top = max(0.0, aim.at_least - frequencies.error)
    for part in frequencies.parts(points):
        top = top_eigenvalue_bound(frequencies.matrices(part, (1, 1)), top)
    return add_up(top, frequencies.error)


def low_bound(frequencies: Frequencies, high: float, low: float) -> float:
    """Prove a lower bound of the bottom eigenvalue of A(w) over all frequencies, for a nearly constant A.

    With l <= A <= t at the corners of the first cells, the spread M - m is at most (t - l) / (1 - 2 r) and
    m >= l - r (t - l) / (1 - 2 r).

    Args:
        frequencies: A.
        high: A(w) <= high I at every frequency is known.
        low: A(w) >= low I is known as well, perhaps by far.

    Returns:
        The bound, rounded down, at least `low`.
    """
    cells = cover(frequencies.reach, frequencies.groups, _PER_DEGREE)
    excess = _Excess.of(Range(low), frequencies.reach, cells.counts).ratio
    gap, top = 0.0, 0.0
    for part in frequencies.parts(cells.points(cells.corners().unique())):
        matrices = frequencies.matrices(part, cells.counts)
        lowered = -matrices
        matrices.diagonal(dim1=-2, dim2=-1).sub_(low)
        top = top_eigenvalue_bound(matrices, top)
        lowered.diagonal(dim1=-2, dim2=-1).add_(high)
        gap = top_eigenvalue_bound(lowered, gap)
    # Differences on the diagonal are rounded, by at most a unit of |A_ii| + high + |low| each, as are those below.
    rounding = add_up(frequencies.error, 16 * gamma(4) * (high + abs(low)))
    least = down(high - add_up(gap, rounding))
    spread = add_up(up(add_up(top, low) - least), rounding)
    room = multiply_up(excess, divide_up(max(spread, 0.0), down(1.0 - up(2 * excess))))
    return max(low, down(least - room))


def _top_estimate(matrices: Tensor, block: Tensor, low: float, target: float) -> tuple[float, Tensor]:
    # The largest eigenvalue of a batch and vectors near it, mostly a little low: nothing that a proof rests on.
    if matrices.shape[-1] <= 16:
        values, vectors = torch.linalg.eigh(matrices)
        best = int(values[:, -1].argmax())
        return float(values[best, -1]), vectors[best : best + 1, :, -block.shape[-1] :]
    shift = low + 0.4 * max(0.0, target - low)
    vectors, last = block.expand(len(matrices), -1, -1), -math.inf
    for _ in range(30):
        for _ in range(3):
            vectors = matrices @ vectors - shift * vectors
        vectors = torch.linalg.qr(vectors)[0]
        values, rotation = torch.linalg.eigh(vectors.mH @ (matrices @ vectors))
        vectors = vectors @ rotation
        top = float(values[:, -1].max())
        if top - last < SLACK / 10 * top:
            break
        last = top
    best = int(values[:, -1].argmax())
    return top, vectors[best : best + 1]


def _sizes(matrices: Tensor, block: Tensor, low: float) -> Tensor:
    # Lower estimates of the top eigenvalues, by power iteration from two vectors.
    vectors = block[..., -2:].expand(len(matrices), -1, -1)
    for _ in range(4):
        vectors = matrices @ vectors - low * vectors
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-300)
    image = matrices @ vectors
    return (vectors.conj() * image).real.sum(1).amax(1)
