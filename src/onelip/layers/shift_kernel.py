"""Orthogonal kernels of rotated channel shifts: M R^T S R, and their nearest to a given kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.layers.block_kernel import strided_start
from onelip.layers.conv_arguments import ConvArguments, Pair
from onelip.linalg.polar import polar_factor

_FIT_STEPS = 100
_FIT_TOLERANCE = 1e-13


@dataclass(frozen=True)
class ShiftPlan:
    """How a kernel of shifts is composed: K = sum over taps t of M P_t z^t, P_t = R_t^T R_t with the rows R_t of R.

    R is orthogonal, so the P_t are orthogonal projectors that add up to I, and R^T S R = sum of P_t z^t keeps every
    length: each row of R is a direction in the space of channels that is shifted to its own tap. M is semi-orthogonal,
    seen as a kernel as large as the stride. At stride 1 and with no fewer outputs than inputs M acts first.

    Attributes:
        groups: Number of groups.
        rows: Output channels of a group.
        columns: Input channels of a group.
        start: Height and width of M, min(kernel, stride) along each axis.
        size: Height and width of the kernel of R^T S R, so that kernel = start + size - 1.
        taps: Each tap (vertical, horizontal) of R^T S R with its number of rows of R.
        shifts_last: Does M act first?
    """

    groups: int
    rows: int
    columns: int
    start: Pair
    size: Pair
    taps: tuple[tuple[Pair, int], ...]
    shifts_last: bool

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """Shape of M as one matrix per group."""
        return self.groups, self.rows, self.columns * self.start[0] * self.start[1]

    @property
    def rotation_shape(self) -> tuple[int, int, int] | None:
        """Shape of R, or None where all channels have one tap, so that R cancels."""
        channels = self.rows if self.shifts_last else self.columns
        return (self.groups, channels, channels) if len(self.taps) > 1 else None

    def kernel(self, matrix: Tensor, rotation: Tensor | None) -> Tensor:
        """Compose the kernel.

        Args:
            matrix: M, of shape `matrix_shape`.
            rotation: R, of shape `rotation_shape`, or None.

        Returns:
            (groups rows, columns, kh, kw).
        """
        m = self._shifted_second(matrix.reshape(self.groups, self.rows, -1, *self.start))
        parts = [self._at(tap, m if p is None else _times(m, p)) for tap, p in self._projectors(rotation)]
        total = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
        return self._shifted_second(total).flatten(0, 1).contiguous()

    def fit(self, kernel: Tensor, matrix: Tensor, rotation: Tensor | None) -> tuple[Tensor, ...]:
        """Find M and R whose kernel is near a given one; exactly, if the rank of its taps determines them.

        <K, target> is raised by turns in M, whose best value is a polar factor, and in R, by the polar factor of a
        tangent from below. It begins at the parameters given, or where the taps that belong to one shift alone point,
        whichever is nearer.

        Args:
            kernel: (groups rows, columns, kh, kw), float64.
            matrix: M to begin with, float64.
            rotation: R to begin with, or None.

        Returns:
            M, and R if there is one.
        """
        target = self._shifted_second(kernel.unflatten(0, (self.groups, self.rows)))
        if rotation is None:
            return (self._best_matrix(target, None),)
        tried = [(matrix, rotation), *(self._climb(target, r) for r in (rotation, self._pointed_at(target)))]
        return max(tried, key=lambda pair: self._overlap(target, *pair))

    def _climb(self, target: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        matrix, reached = self._best_matrix(target, rotation), -1.0
        for _ in range(_FIT_STEPS):
            m = self._shifted_second(matrix.reshape(self.groups, self.rows, -1, *self.start))
            slopes = [torch.einsum("goiab,gojab->gij", self._window(target, tap), m) for tap, _ in self.taps]
            rotation = polar_factor(self._tangent(rotation, slopes))
            matrix = self._best_matrix(target, rotation)
            before, reached = reached, self._overlap(target, matrix, rotation)
            if reached - before <= _FIT_TOLERANCE * abs(reached):
                break
        return matrix, rotation

    def _overlap(self, target: Tensor, matrix: Tensor, rotation: Tensor) -> float:
        kernel = self.kernel(matrix, rotation).unflatten(0, (self.groups, self.rows))
        return float((self._shifted_second(kernel) * target).sum())

    def _best_matrix(self, target: Tensor, rotation: Tensor | None) -> Tensor:
        parts = [
            self._window(target, tap) if p is None else _times(self._window(target, tap), p)
            for tap, p in self._projectors(rotation)
        ]
        return polar_factor(self._shifted_second(torch.stack(parts).sum(0)).reshape(self.matrix_shape))

    def _tangent(self, rotation: Tensor, slopes: list[Tensor]) -> Tensor:
        # sum of tr(R_t A_t R_t^T) is convex in R once the A_t are made positive, which adds a constant.
        symmetric = [(a + a.mT) / 2 for a in slopes]
        lowest = torch.stack([torch.linalg.eigvalsh(a)[..., 0] for a in symmetric]).amin(0).clamp_max(0)
        lift = lowest[..., None, None] * torch.eye(rotation.shape[-1], dtype=rotation.dtype, device=rotation.device)
        pieces = zip(self._rows(rotation), symmetric, strict=True)
        return torch.cat([r @ (a - lift) for r, a in pieces], 1)

    def _pointed_at(self, target: Tensor) -> Tensor:
        # Target taps that only one shift reaches have their rows in the range of its projector.
        reached = [{(t[0] + a, t[1] + b) for a, b in product(*map(range, self.start))} for t, _ in self.taps]
        rows = []
        for i, (_, count) in enumerate(self.taps):
            own = reached[i].difference(*(other for j, other in enumerate(reached) if j != i))
            taps = torch.stack([target[..., a, b] for a, b in own] or [torch.zeros_like(target[..., 0, 0])], 1)
            stacked = taps.flatten(1, 2)
            values, vectors = torch.linalg.eigh(stacked.mT @ stacked)
            rows.append((vectors * values.clamp_min(0)[..., None, :])[..., -count:].mT)
        return polar_factor(torch.cat(rows, 1))

    def _rows(self, rotation: Tensor) -> Iterator[Tensor]:
        first = 0
        for _, count in self.taps:
            yield rotation[:, first : first + count]
            first += count

    def _projectors(self, rotation: Tensor | None) -> Iterator[tuple[Pair, Tensor | None]]:
        if rotation is None:
            yield self.taps[0][0], None
            return
        for (tap, _), r in zip(self.taps, self._rows(rotation), strict=True):
            yield tap, r.mT @ r

    def _at(self, tap: Pair, m: Tensor) -> Tensor:
        (h, w), (a, b) = self.size, tap
        return F.pad(m, (b, w - 1 - b, a, h - 1 - a))

    def _window(self, target: Tensor, tap: Pair) -> Tensor:
        (h, w), (a, b) = self.start, tap
        return target[..., a : a + h, b : b + w]

    def _shifted_second(self, x: Tensor) -> Tensor:
        # (groups, rows, columns, h, w), channel axes swapped if it is the rows that are shifted.
        return x.transpose(1, 2) if self.shifts_last else x


def shift_plan(arguments: ConvArguments, ratio: float) -> ShiftPlan:
    """Decide how to compose the kernel of a shift convolution.

    Args:
        arguments: Those of the layer.
        ratio: Part of the channels that is shifted along each direction, at most 1/4.

    Returns:
        The plan.

    Raises:
        ValueError: If no orthogonal kernel has these sizes, see `strided_start`.
    """
    rows, columns, _, start = strided_start(arguments)
    kh, kw = arguments.kernel_size
    size = (kh - start[0] + 1, kw - start[1] + 1)
    shifts_last = start == (1, 1) == arguments.stride and rows >= columns
    taps = shift_taps(size, rows if shifts_last else columns, ratio)
    return ShiftPlan(arguments.groups, rows, columns, start, size, taps, shifts_last)


def shift_taps(size: Pair, channels: int, ratio: float) -> tuple[tuple[Pair, int], ...]:
    """Share channels among the taps right, below, left and above of the middle one, which takes the rest.

    The shifts go to the ends of the kernel. Of a kernel of one row, for example, the taps above and below are the
    middle one. If the channels to be shifted do not fill every direction, the first directions get one more.

    Args:
        size: Height and width of the kernel of shifts.
        channels: Number of channels.
        ratio: Part of the channels for each direction; their number is rounded up in total.

    Returns:
        (tap, channels) for each tap that has any.
    """
    h, w = size
    middle = ((h - 1) // 2, (w - 1) // 2)
    ends = [(middle[0], w - 1), (h - 1, middle[1]), (middle[0], 0), (0, middle[1])]
    directions = [end for end in dict.fromkeys(ends) if end != middle]
    shifted = min(channels, ceil(len(directions) * ratio * channels))
    shares = [(d, (shifted - i + len(directions) - 1) // len(directions)) for i, d in enumerate(directions)]
    return tuple((tap, count) for tap, count in [*shares, (middle, channels - shifted)] if count)


def _times(m: Tensor, p: Tensor) -> Tensor:
    return torch.einsum("goiab,gij->gojab", m, p)
