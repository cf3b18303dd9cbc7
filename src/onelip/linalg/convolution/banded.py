"""Prove the norm of convolutions at one image size, by block Cholesky factorisation of banded Gram matrices.

Let G = T T^* or T^* T, whichever is smaller, in blocks along one axis: outputs (pixels) far apart share no pixel
(output), so that G is banded. If L is block lower triangular and t I = G + L L^* + E, then ||T||^2 <= t + ||E||, for
any L whatsoever. L is computed block by block as in Cholesky's method, the blocks of E = t I - G - L L^* are computed
along the way, and ||E|| is at most the largest sum of Frobenius norms over a row of blocks. Nothing rests on the
factorisation or the triangular solutions being right: only on products and sums, whose rounding errors are bounded.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.linalg.convolution.operators import LineOperators, norm_with_error
from onelip.linalg.norms import sum_up
from onelip.linalg.positive import all_below, top_eigenvalue_bound
from onelip.linalg.rounding import add_up, gamma, multiply_up, up

_BLOCK = 96
"""Rows that blocks are merged to, where they are smaller."""

_SINGLE = 256
"""Rows up to which the whole matrix is one block."""

_SLACKS = (2e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e2)
"""How far above the estimate of ||T||^2, relatively, the proof is tried, one after the other."""

_CHUNK = 2**24
"""Entries of blocks held at once."""

_Taps = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Layout:
    """How G is cut into blocks.

    Attributes:
        axis: The axis along which it is banded; None where no axis is kept.
        outer: Is it T T^*, rather than T^* T?
        steps: Outputs (pixels) along the axis.
        inner: Rows of G for one of them.
        merged: How many make one block.
        band: How many blocks off the diagonal are not zero.
    """

    axis: int | None
    outer: bool
    steps: int
    inner: int
    merged: int
    band: int

    @property
    def blocks(self) -> int:
        return -(-self.steps // self.merged)


def proof_cost(operators: LineOperators) -> float:
    """Estimate what `operators_norm_bound` costs.

    Args:
        operators: The batch.

    Returns:
        Floating-point operations, complex ones counted as four.
    """
    layout = _layout(operators)
    size = layout.inner * layout.merged
    band = min(layout.band, layout.blocks - 1)
    each = 1 / 3 + 2 * band + band * (band + 1) + 2 * (band + 1)
    factor = 4.0 if operators.weights.is_complex() else 1.0
    return factor * len(operators.weights) * layout.blocks * each * float(size) ** 3


def operators_norm_bound(operators: LineOperators, estimate: float | None = None) -> float:
    """Prove an upper bound of the norm in question.

    Args:
        operators: The batch.
        estimate: Of the largest norm in the batch, a little low; computed here if None.

    Returns:
        The bound, rounded up: within 1e-6 where the estimate is; `operators.size` if nothing less could be proved.

    Cost: `proof_cost` for each try; one or two mostly.
    """
    layout = _layout(operators)
    rows = _row_operators(operators, layout.axis, layout.outer)
    pairs = _pairs(operators, layout)
    # Each entry of G is a sum of products of entries of T, which are sums themselves where taps coincide.
    terms = rows.shape[-1] + max(map(len, pairs.values())) + 2 * math.prod(operators.weights.shape[3:]) + 8
    error = multiply_up(_gamma(terms, rows), multiply_up(operators.size, operators.size))
    if estimate is None and (layout.blocks > 1 or len(rows) > 1):
        estimate = operators.estimate()
    if estimate is None or layout.blocks == 1:
        square = 0.0 if estimate is None else estimate**2 * (1 + _SLACKS[0])
        for part in _parts(rows, layout):
            square = _at_least(square, _Gram(part, pairs, layout).block(0, 0))
        return norm_with_error(add_up(square, error), operators)
    # Weights that only meet zeros leave an estimate of 0, on which no factorisation is positive.
    start = max(estimate**2, 1e-16 * operators.size**2)
    square = max(_below(_Gram(part, pairs, layout), layout, start) for part in _parts(rows, layout))
    return norm_with_error(min(add_up(square, error), multiply_up(operators.size, operators.size)), operators)


def _gamma(terms: int, like: Tensor) -> float:
    # A complex product or sum errs by at most sqrt(2) gamma_2 < 3 u (Higham 2002, 3.6).
    return gamma((4 if like.is_complex() else 1) * terms)


def _parts(rows: Tensor, layout: _Layout) -> tuple[Tensor, ...]:
    size = (layout.inner * layout.merged) ** 2 * (layout.band + 2) * (layout.band + 1)
    return rows.split(max(1, _CHUNK // size))


def _at_least(square: float, g: Tensor) -> float:
    # A bound of all eigenvalues: the given number, if it is one.
    failed = ~all_below(g, square)
    return top_eigenvalue_bound(g[failed], square) if bool(failed.any()) else square


def _below(gram: _Gram, layout: _Layout, square: float) -> float:
    for slack in _SLACKS:
        proved = _factorised(gram, layout, square * (1 + slack))
        if math.isfinite(proved):
            return proved
    return math.inf


def _factorised(gram: _Gram, layout: _Layout, t: float) -> float:
    # t + ||E||, or infinity if the factorisation does not succeed.
    factors: dict[tuple[int, int], Tensor] = {}
    lengths = torch.zeros(layout.blocks, dtype=torch.float64)
    entries, residual = 0.0, 0.0
    for j in range(layout.blocks):
        column, size = _column(gram, layout, factors, t, j)
        entries = max(entries, size)
        lower, info = torch.linalg.cholesky_ex(column[j])
        if bool(info.any()):
            return math.inf
        for i, block in column.items():
            factor = lower if i == j else torch.linalg.solve_triangular(lower.mH, block, upper=True, left=False)
            factors[i, j] = factor
            lengths[i] += _largest_norm(factor) ** 2
            residual = max(residual, _largest_norm(block - factor @ lower.mH))
        for i in range(layout.blocks):
            factors.pop((i, j - layout.band), None)
    # |fl(S) - S| and |fl(S - L L^*) - ...| are each at most gamma times a matrix of norm at most `entries` + `lengths`.
    inner = layout.inner * layout.merged * (layout.band + 1) + layout.band + 8
    sizes = (entries + float(lengths.max())) * (1 + 2.0**-20)
    total = residual * (1 + 2.0**-20) + 3 * _gamma(inner, gram.rows) * sizes
    excess = up((2 * layout.band + 1) * total * (1 + 2.0**-20))
    return up(t + excess) if math.isfinite(excess) else math.inf


def _column(
    gram: _Gram, layout: _Layout, factors: dict[tuple[int, int], Tensor], t: float, j: int
) -> tuple[dict[int, Tensor], float]:
    # Blocks i >= j of t I - G minus the products of earlier columns, and the largest norm of t I and G together.
    column: dict[int, Tensor] = {}
    size = 0.0
    for i in range(j, min(j + layout.band + 1, layout.blocks)):
        block = -gram.block(i, j)
        size = max(size, _largest_norm(block) + (t * math.sqrt(block.shape[-1]) if i == j else 0.0))
        if i == j:
            block.diagonal(dim1=-2, dim2=-1).add_(t)
        for k in range(max(0, i - layout.band), j):
            block.baddbmm_(factors[i, k], factors[j, k].mH, alpha=-1)
        column[i] = block
    return column, size


def _largest_norm(x: Tensor) -> float:
    # Of the Frobenius norms of a batch, rounded up.
    squares = torch.view_as_real(x) if x.is_complex() else x
    sums = squares.square().flatten(1).sum(1)
    return math.sqrt(float(sum_up(sums, squares[0].numel() + 1).max())) * (1 + 2.0**-50)


class _Gram:
    """Blocks of the Gram matrices, assembled from products of the row operators."""

    def __init__(self, rows: Tensor, pairs: dict[tuple[int, int], _Taps], layout: _Layout) -> None:
        self.rows = rows
        self._layout = layout
        self._pairs = pairs
        self._products: dict[tuple[int, int], Tensor] = {}
        self._cache: dict[tuple[tuple[int, int, _Taps], ...], Tensor] = {}

    def block(self, i: int, j: int) -> Tensor:
        # Not to be changed in place.
        first, second = self._span(i), self._span(j)
        found = tuple(
            (a - first.start, b - second.start, self._pairs[a, b])
            for a in first
            for b in second
            if (a, b) in self._pairs
        )
        key = ((len(first), len(second), ()), *found)
        if key not in self._cache:
            inner = self._layout.inner
            block = self.rows.new_zeros(len(self.rows), len(first), inner, len(second), inner)
            for a, b, taps in found:
                for pair in taps:
                    block[:, a, :, b] += self._product(pair)
            self._cache[key] = block.flatten(3).flatten(1, 2)
        return self._cache[key]

    def _span(self, i: int) -> range:
        merged = self._layout.merged
        return range(i * merged, min((i + 1) * merged, self._layout.steps))

    def _product(self, taps: tuple[int, int]) -> Tensor:
        if taps not in self._products:
            self._products[taps] = self.rows[:, taps[0]] @ self.rows[:, taps[1]].mH
        return self._products[taps]


def _pairs(operators: LineOperators, layout: _Layout) -> dict[tuple[int, int], _Taps]:
    # For rows i, j of blocks: the pairs of taps (a, b) whose product R_a R_b^* is in block (i, j), as often as it is.
    if layout.axis is None:
        return {(0, 0): ((0, 0),)}
    found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for hits in _meetings(operators.lines[layout.axis].reads, layout.outer):
        for i, a in hits:
            for j, b in hits:
                found[i, j].append((a, b))
    return {key: tuple(sorted(taps)) for key, taps in found.items()}


def _meetings(reads: Tensor, outer: bool) -> Iterator[list[tuple[int, int]]]:
    # For each pixel the outputs that read it, or for each output the pixels that it reads, with the tap.
    met: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for t, pixels in enumerate(reads.tolist()):
        for a, pixel in enumerate(pixels):
            if pixel >= 0:
                met[pixel if outer else t].append((t if outer else pixel, a))
    yield from met.values()


def _layout(operators: LineOperators) -> _Layout:
    outer = operators.rows <= operators.columns
    total = operators.rows if outer else operators.columns
    if not operators.lines:
        return _Layout(None, outer, 1, total, 1, 0)
    counts = [line.outputs if outer else line.size for line in operators.lines]
    axis = max(range(len(counts)), key=lambda i: counts[i])
    steps, inner = counts[axis], total // counts[axis]
    merged = steps if total <= _SINGLE else min(steps, max(1, _BLOCK // inner))
    reach = max(abs(i - j) for hits in _meetings(operators.lines[axis].reads, outer) for i, _ in hits for j, _ in hits)
    band = min(-(-reach // merged), -(-steps // merged) - 1)
    return _Layout(axis, outer, steps, inner, merged, band)


def _row_operators(operators: LineOperators, axis: int | None, outer: bool) -> Tensor:
    # (batch, taps of the axis, p, q): R_a with T = sum over a of R_a (x) S_a, or their adjoints.
    x = operators.weights
    if axis is None:
        rows = x[:, None]
        return rows if outer else rows.mH
    x = x.movedim(3 + axis, 1)
    for line in (line for i, line in enumerate(operators.lines) if i != axis):
        # (batch, taps, out, in, taps of this line, others ...) -> (batch, taps, out outputs, in size, others ...)
        x = torch.tensordot(x.movedim(4, -1), line.selections().to(x.dtype), 1)
        x = x.movedim((-2, -1), (3, 5)).flatten(4, 5).flatten(2, 3)
    return x if outer else x.mH
