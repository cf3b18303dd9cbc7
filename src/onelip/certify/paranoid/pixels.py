"""Norms of sums of products W_a x S_a, in which S_a copies pixels: convolutions at one image size, edges included.

The Gram matrix of the smaller side is a matrix of blocks that are sums of the products W_a W_b^T, most of them zero. A
float64 Cholesky factor L of A - e I, with A = I - G / bound^2, only looks for the proof: the matrix A - e I - L L^T is
formed in balls, block by block, and if all row sums of its sizes are at most e, then A >= L L^T >= 0, whatever L is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

from onelip.certify.checker.network import Array
from onelip.certify.paranoid.balls import ZERO, Balls, matrix

RESERVES = (1e-9, 1e-11, 1e-13)
"""What e is tried, in units of the square of the bound."""

LARGEST_SIDE = 6144
"""Entries of the smaller side from which a map is taken to be too large."""

_SMALL = 32
"""Entries that a block should have at least."""

Pairs = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which pixels of one side meet which taps of which pixels of the other side.

    Attributes:
        rows: For each pixel of the smaller side, the (tap, pixel of the other side) that it meets.
        turned: Is the smaller side that of the inputs?
        channels: Entries of a pixel of the smaller side.
        inner: Entries of a pixel of the other side.
        group: Pixels in a block.
        band: Largest distance of two blocks that meet.
    """

    rows: list[list[tuple[int, int]]]
    turned: bool
    channels: int
    inner: int
    group: int
    band: int

    @property
    def side(self) -> int:
        """Entries of the smaller side."""
        return len(self.rows) * self.channels

    @property
    def work(self) -> float:
        """Products of balls that a proof takes."""
        block, count = self.group * self.channels, -(-len(self.rows) // self.group)
        band = min(self.band, count - 1)
        taps = len({tap for row in self.rows for tap, _ in row})
        multiplied = count * (band + 1) * (band + 2) / 2 * float(block) ** 3
        return multiplied + float(taps) ** 2 * self.channels**2 * self.inner + 200 * self.side * block * (band + 1)


def pattern(pairs: Pairs, pixels: tuple[int, int], channels: tuple[int, int], slab: tuple[int, int]) -> Pattern:
    """Read which pixels meet.

    Args:
        pairs: For each tap the output pixels and the input pixels that it joins.
        pixels: Numbers of pixels of output and input.
        channels: Entries of a pixel of output and input.
        slab: Pixels of output and input that follow each other in a hyperplane of the first axis.

    Returns:
        The pattern.
    """
    turned = pixels[1] * channels[1] < pixels[0] * channels[0]
    own = int(turned)
    rows: list[list[tuple[int, int]]] = [[] for _ in range(pixels[own])]
    seen: dict[int, list[int]] = defaultdict(list)
    for tap, pair in enumerate(pairs):
        for mine, other in zip(pair[own].tolist(), pair[1 - own].tolist(), strict=True):
            rows[mine].append((tap, other))
            seen[other].append(mine)
    group = min(slab[own], max(1, 512 // channels[own]))
    group = max(group, min(pixels[own], -(-_SMALL // channels[own])))
    band = max((max(mine) // group - min(mine) // group for mine in seen.values()), default=0)
    return Pattern(rows, turned, channels[own], channels[1 - own], group, band)


def pixels_at_most(shape: Pattern, weights: list[Balls], bound: Any) -> bool:
    """Prove that the norm of the map is at most a bound.

    Args:
        shape: Which pixels meet.
        weights: For each tap `(out, in)`.
        bound: A ball, finite and positive.

    Returns:
        True if proved; False proves nothing.
    """
    taps = [matrix(w.T if shape.turned else w) * (1 / bound) for w in weights]
    gram = _Gram(shape, taps)
    middle = gram.middle()
    if not np.isfinite(middle).all():
        return False
    for reserve in RESERVES:
        try:
            factor: Array = np.asarray(np.linalg.cholesky(middle - reserve * np.eye(len(middle))), np.float64)
        except np.linalg.LinAlgError:
            continue
        if np.isfinite(factor).all() and gram.residual_at_most(factor, reserve):
            return True
    return False


class _Gram:
    """I minus the Gram matrix of taps, in blocks."""

    def __init__(self, shape: Pattern, taps: list[Any]) -> None:
        self.shape, self.taps = shape, taps
        self.transposed = [tap.transpose() for tap in taps]
        self.products: dict[tuple[int, int], Any] = {}
        self.sums: dict[tuple[tuple[int, int], ...], tuple[Balls, Array]] = {}
        met: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for pixel, row in enumerate(shape.rows):
            for tap, other in row:
                met[other].append((pixel, tap))
        found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for members in met.values():
            for p, a in members:
                for q, b in members:
                    if q <= p:
                        found[p, q].append((a, b))
        self.meetings = {place: tuple(sorted(pairs)) for place, pairs in found.items()}

    def _block(self, p: int, q: int) -> tuple[Balls, Array] | None:
        # The sum of the products of taps of two pixels, q <= p.
        key = self.meetings.get((p, q))
        if key is None:
            return None
        if key not in self.sums:
            total = arb_mat(self.shape.channels, self.shape.channels)
            for a, b in key:
                if (a, b) not in self.products:
                    self.products[a, b] = self.taps[a] * self.transposed[b]
                total = total + self.products[a, b]
            balls = np.array(total.entries(), dtype=object).reshape(total.nrows(), -1)
            floats = np.array([float(v.mid()) for v in balls.flat]).reshape(balls.shape)
            self.sums[key] = balls, floats
        return self.sums[key]

    def middle(self) -> Array:
        """Write the matrix out.

        Returns:
            Its midpoints in float64.
        """
        c = self.shape.channels
        result = np.eye(self.shape.side)
        for p, q in self.meetings:
            block = self._block(p, q)
            if block is not None:
                result[p * c : (p + 1) * c, q * c : (q + 1) * c] -= block[1]
        return np.tril(result) + np.tril(result, -1).T

    def _gathered(self, i: int, j: int) -> Any:
        # Block (i, j) of I minus the matrix.
        g, c, n = self.shape.group, self.shape.channels, len(self.shape.rows)
        rows, columns = range(i * g, min(n, (i + 1) * g)), range(j * g, min(n, (j + 1) * g))
        result = np.empty((len(rows) * c, len(columns) * c), dtype=object)
        result.fill(ZERO)
        for p in rows:
            for q in columns:
                block = self._block(max(p, q), min(p, q))
                if block is not None:
                    place = (
                        slice((p - rows[0]) * c, (p - rows[0] + 1) * c),
                        slice((q - columns[0]) * c, (q - columns[0] + 1) * c),
                    )
                    result[place] = -(block[0] if q <= p else block[0].T)
        if i == j:
            for k in range(len(result)):
                result[k, k] = result[k, k] + 1
        return arb_mat(*result.shape, result.ravel().tolist())

    def residual_at_most(self, factor: Array, reserve: float) -> bool:
        """Say whether all row sums of |A - e I - L L^T| are at most e, in balls.

        Args:
            factor: L, lower triangular, of which only blocks within the band are used.
            reserve: e.

        Returns:
            True if proved.
        """
        size, band = self.shape.group * self.shape.channels, self.shape.band
        count = -(-len(factor) // size)
        part = [slice(i * size, (i + 1) * size) for i in range(count)]
        sums: list[Any] = [ZERO] * len(factor)
        blocks: dict[tuple[int, int], Any] = {}
        for i in range(count):
            near = range(max(0, i - band), i + 1)
            blocks.update({(i, k): _exact(factor[part[i], part[k]]) for k in near})
            for j in near:
                rest = self._gathered(i, j)
                for k in range(max(0, i - band), j + 1):
                    rest = rest - blocks[i, k] * blocks[j, k].transpose()
                rows = rest.tolist()
                if i == j:
                    for k, row in enumerate(rows):
                        row[k] = row[k] - arb(reserve)
                _add_sizes(sums, rows, part[i].start, part[j].start, i != j)
            blocks = {place: block for place, block in blocks.items() if place[0] > i - band}
        return all(total <= reserve for total in sums)


def _add_sizes(sums: list[Any], rows: list[list[Any]], row: int, column: int, mirrored: bool) -> None:
    for i, values in enumerate(rows):
        sizes = [abs(v) for v in values]
        sums[row + i] = sum(sizes, sums[row + i])
        if mirrored:
            for j, size in enumerate(sizes):
                sums[column + j] = sums[column + j] + size


def _exact(values: Array) -> Any:
    rows, columns = values.shape
    return arb_mat(rows, columns, values.ravel().tolist())


def pairs_of(sources: npt.NDArray[np.int64], size: tuple[int, ...], turned: bool) -> Pairs:
    """List which pixels each tap joins.

    Args:
        sources: `(pixels, taps)`: pixel of the input that a tap sees at an output, or the number of pixels for none.
        size: Pixels of the input along each axis.
        turned: Is it the adjoint of the map that is asked for?

    Returns:
        For each tap the output pixels and the input pixels.
    """
    pairs = []
    for column in sources.T:
        seen = np.flatnonzero(column < math.prod(size))
        pairs.append((column[seen], seen) if turned else (seen, column[seen]))
    return pairs
