"""Prove that convolutions of images of one size do not stretch more than claimed. NumPy only.

G = T T^* (or T^* T, the smaller one) is cut into stripes of rows along one axis. Stripes far apart have no pixel in
common, so that G is banded. With any block lower triangular L, t I - G = L L^* + E gives ||T||^2 <= t + ||E||, and the
norm of E is at most the largest sum of Frobenius norms in a row of its blocks. L is computed as Cholesky would, E as it
goes along; products and sums are all that the proof rests on.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from onelip.certify.checker.arithmetic import gamma, times
from onelip.certify.checker.images import Images, Numbers
from onelip.certify.checker.semidefinite import all_below

_WHOLE = 320
"""Rows of G up to which it is not cut."""

_STRIPE = 96
"""Rows that stripes are made up to, if they are thinner."""

_ROOM = 4e-8
"""Share of the claim, squared, that is left for E."""

_ROW_BY_ROW = 16
"""Rows up to which a triangular matrix is inverted row by row."""

_CHUNK = 2**23
"""Entries held at once."""

Pairs = dict[tuple[int, int], list[tuple[int, int]]]


@dataclass(frozen=True)
class Cut:
    """How G is cut.

    Attributes:
        axis: Along which axis; -1 if there is none.
        outer: Is G = T T^*?
        count: Outputs, or pixels, along it.
        rows: Rows of G for each.
        thickness: How many make a stripe.
        pairs: For i, j along the axis, the taps (a, b) whose products make up G there.
        band: How far apart stripes are that have something in common, at most.
    """

    axis: int
    outer: bool
    count: int
    rows: int
    thickness: int
    pairs: Pairs
    band: int

    @property
    def stripes(self) -> int:
        """Number of stripes."""
        return -(-self.count // self.thickness)


def cut(operators: Images) -> Cut:
    """Choose how to cut G.

    Args:
        operators: The operators.

    Returns:
        The cut with the thinnest stripes.
    """
    heights = [len(axis.table) for axis in operators.axes]
    widths = [axis.pixels for axis in operators.axes]
    outputs = operators.weights.shape[1] * math.prod(heights)
    inputs = operators.weights.shape[2] * math.prod(widths)
    outer, total = outputs <= inputs, min(outputs, inputs)
    if not heights:
        return Cut(-1, outer, 1, total, 1, {(0, 0): [(0, 0)]}, 0)
    counts = heights if outer else widths
    axis = int(np.argmax(counts))
    rows = total // counts[axis]
    thickness = counts[axis] if total <= _WHOLE else min(counts[axis], max(1, _STRIPE // rows))
    pairs = _pairs(operators.axes[axis].table.tolist(), outer)
    reach = max((abs(i - j) for i, j in pairs), default=0)
    band = min(-(-reach // thickness), -(-counts[axis] // thickness) - 1)
    return Cut(axis, outer, counts[axis], rows, thickness, pairs, band)


def _pairs(table: list[list[int]], outer: bool) -> Pairs:
    meeting: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for output, reads in enumerate(table):
        for tap, pixel in enumerate(reads):
            if pixel >= 0:
                meeting[pixel if outer else output].append((output if outer else pixel, tap))
    pairs: Pairs = defaultdict(list)
    for met in meeting.values():
        for i, a in met:
            for j, b in met:
                pairs[i, j].append((a, b))
    return dict(pairs)


def cost(operators: Images) -> float:
    """Estimate the operations of `below`.

    Args:
        operators: The operators.

    Returns:
        Their number, complex ones counted fourfold.
    """
    plan = cut(operators)
    size, band = plan.rows * plan.thickness, plan.band
    each = 1 + 4 * (band + 1) + band * (band + 1)
    return (4.0 if np.iscomplexobj(operators.weights) else 1.0) * len(operators.weights) * plan.stripes * each * size**3


def below(operators: Images, claimed: float) -> bool:
    """Prove that the norm is at most what is claimed.

    Args:
        operators: The operators, scaled to numbers of moderate size.
        claimed: The claim.

    Returns:
        True if proved; False proves nothing.
    """
    plan = cut(operators)
    rows = _rows(operators, plan)
    complex_factor = 4 if np.iscomplexobj(rows) else 1
    taps = math.prod(operators.weights.shape[3:])
    terms = rows.shape[-1] + 2 * taps + max(map(len, plan.pairs.values()), default=1) + 16
    error = times(gamma(complex_factor * terms), operators.size, operators.size)
    # Each rounding below is a few units, which 1e-14 covers many times over.
    each = claimed / math.sqrt(operators.copies) * (1 - 1e-14) - operators.error
    square = (each * each - error) * (1 - 1e-14) if each > 0 else 0.0
    if not square > 0:
        return False
    size = (plan.rows * plan.thickness) ** 2 * (plan.band + 2) * (plan.band + 1)
    step = max(1, _CHUNK // size)
    return all(_part_below(rows[i : i + step], plan, square) for i in range(0, len(rows), step))


def _part_below(rows: Numbers, plan: Cut, square: float) -> bool:
    blocks = _Blocks(rows, plan)
    if plan.stripes == 1:
        return all_below(blocks.get(0, 0), square)
    return _factorised(blocks, plan, square * (1 - _ROOM)) <= square


def _factorised(blocks: _Blocks, plan: Cut, t: float) -> float:
    # t + ||E||, or infinity.
    lower: dict[tuple[int, int], Numbers] = {}
    lengths = np.zeros(plan.stripes)
    largest, rest = 0.0, 0.0
    for j in range(plan.stripes):
        inverse = None
        for i in range(j, min(j + plan.band + 1, plan.stripes)):
            g = blocks.get(i, j)
            largest = max(largest, _norm(g) + (t * math.sqrt(g.shape[-1]) if i == j else 0.0))
            s = -g
            if i == j:
                index = np.arange(g.shape[-1])
                s[:, index, index] += t
            for k in range(max(0, i - plan.band), j):
                s -= lower[i, k] @ _adjoint(lower[j, k])
            if inverse is None:
                try:
                    lower[j, j] = np.linalg.cholesky(s)
                    inverse = triangular_inverse(lower[j, j])
                except np.linalg.LinAlgError:
                    return math.inf
            else:
                lower[i, j] = s @ _adjoint(inverse)
            rest = max(rest, _norm(s - lower[i, j] @ _adjoint(lower[j, j])))
            lengths[i] += _norm(lower[i, j]) ** 2
        lower = {key: value for key, value in lower.items() if key[1] > j - plan.band}
    inner = plan.rows * plan.thickness * (plan.band + 1) + plan.band + 16
    roundings = 4 * gamma((4 if np.iscomplexobj(blocks.rows) else 1) * inner) * (largest + float(lengths.max()))
    total = (2 * plan.band + 1) * (rest + roundings) * (1 + 1e-12)
    return t + total * (1 + 1e-12) + t * 1e-15 if math.isfinite(total) else math.inf


def triangular_inverse(lower: Numbers) -> Numbers:
    """Invert lower triangular matrices by halves; the result is checked wherever it is used.

    Args:
        lower: `(m, n, n)`, with a diagonal of numbers other than 0.

    Returns:
        `(m, n, n)`.
    """
    n = lower.shape[-1]
    result = np.zeros_like(lower)
    if n <= _ROW_BY_ROW:
        for i in range(n):
            result[:, i, :i] = -(lower[:, i : i + 1, :i] @ result[:, :i, :i])[:, 0]
            result[:, i, i] = 1
            result[:, i] /= lower[:, i, i, None]
        return result
    half = n // 2
    first, last = triangular_inverse(lower[:, :half, :half]), triangular_inverse(lower[:, half:, half:])
    result[:, :half, :half], result[:, half:, half:] = first, last
    result[:, half:, :half] = -(last @ (lower[:, half:, :half] @ first))
    return result


def _norm(x: Numbers) -> float:
    # The largest Frobenius norm of a batch, rounded up; infinite for numbers that are none.
    parts = np.stack([x.real, x.imag], 1) if np.iscomplexobj(x) else x
    value = math.sqrt(float((parts * parts).reshape(len(x), -1).sum(1).max())) * (1 + gamma(2 * x[0].size + 16))
    return value + 2.0**-400 if math.isfinite(value) else math.inf


def _adjoint(x: Numbers) -> Numbers:
    return x.conj().swapaxes(-1, -2)


class _Blocks:
    """Blocks of G, from the products of the taps' matrices."""

    def __init__(self, rows: Numbers, plan: Cut) -> None:
        self.rows = rows
        self._plan = plan
        self._products: dict[tuple[int, int], Numbers] = {}
        self._known: dict[str, Numbers] = {}

    def get(self, i: int, j: int) -> Numbers:
        plan, size = self._plan, self._plan.rows
        here, there = (range(k * plan.thickness, min((k + 1) * plan.thickness, plan.count)) for k in (i, j))
        found = [
            (a, b, sorted(plan.pairs[m, n]))
            for a, m in enumerate(here)
            for b, n in enumerate(there)
            if (m, n) in plan.pairs
        ]
        key = repr((len(here), len(there), found))
        if key not in self._known:
            block = np.zeros((len(self.rows), len(here) * size, len(there) * size), dtype=self.rows.dtype)
            for a, b, taps in found:
                for pair in taps:
                    block[:, a * size : (a + 1) * size, b * size : (b + 1) * size] += self._product(*pair)
            self._known[key] = block
        return self._known[key]

    def _product(self, a: int, b: int) -> Numbers:
        if (a, b) not in self._products:
            self._products[a, b] = self.rows[:, a] @ _adjoint(self.rows[:, b])
        return self._products[a, b]


def _rows(operators: Images, plan: Cut) -> Numbers:
    # (operators, taps along the axis of the cut, rows, columns): what one tap does to one line of pixels.
    weights = operators.weights
    if plan.axis < 0:
        result = weights[:, None]
        return result if plan.outer else _adjoint(result)
    others = [axis for i, axis in enumerate(operators.axes) if i != plan.axis]
    weights = np.moveaxis(weights, 3 + plan.axis, 1)
    count, taps, out, inner = weights.shape[:4]
    heights = tuple(len(axis.table) for axis in others)
    widths = tuple(axis.pixels for axis in others)
    full = np.zeros((count, taps, out, inner, *heights, *widths), dtype=weights.dtype)
    for tap in np.ndindex(*weights.shape[4:]):
        tables = [axis.table[:, a] for axis, a in zip(others, tap, strict=True)]
        for place in np.ndindex(*heights):
            pixels = tuple(int(table[t]) for table, t in zip(tables, place, strict=True))
            if min(pixels, default=0) >= 0:
                full[(..., *place, *pixels)] += weights[(..., *tap)]
    n = len(others)
    order = [0, 1, 2, *range(4, 4 + n), 3, *range(4 + n, 4 + 2 * n)]
    result = full.transpose(order).reshape(count, taps, out * math.prod(heights), inner * math.prod(widths))
    return result if plan.outer else _adjoint(result)
