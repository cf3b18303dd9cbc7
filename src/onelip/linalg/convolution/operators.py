"""Convolutions at one image size, some axes pixel by pixel and the others frequency by frequency.

Along an axis whose line is part of a ring of M outputs (`lines.Ring`), the convolution is part of a circular one, which
the Fourier transform takes apart: its norm is the largest over the frequencies th = 2 pi j / M of that of the kernel
sum over taps a of W_a exp(i th v_a), where tap a reads pixel s v_a + r_a, and the s residues r of pixels modulo the
stride become channels. Multiplying pixel x and output t by unit numbers exp(i phi x / s) and exp(-i phi t) changes no
norm, so where zeros separate one turn of the ring from the next, the frequencies 2 pi (j + 1/2) / M serve as well. The
true norm is at most the least of these bounds, which is far below the supremum over all frequencies if a peak lies
between two grid points. Axes kept pixel by pixel lose nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.linalg.convolution.lines import Line
from onelip.linalg.norms import frobenius_squared_up, sum_up
from onelip.linalg.rounding import gamma, multiply_up, sqrt_up

_COS_ERROR = 2.0**-48
"""Bound of the error of a computed cos or sin of 2 pi j / n: 32 units; the rounded argument needs 10, libm 2."""

_STEPS = 48
"""Lanczos steps of an estimate, at most."""

_CHECK_EVERY = 8


@dataclass(frozen=True, eq=False)
class LineOperators:
    """A batch of operators T_b = sum over taps a of W_b,a (x) S_a1 (x) S_a2 ...; those in question up to an error.

    Attributes:
        weights: (batch, out, in, taps of each line ...), float64 or complex128 on the CPU, entries of moderate size.
        lines: Axes that are kept pixel by pixel; possibly none.
        size: Bound of || |T_b| ||, the operators with absolute values of weights, for the exact weights.
        error: Bound of the distance, in norm, of each T_b from the operator that it stands for.
        factor_sq: The norm in question is at most the root of this number times the largest norm of the batch.
    """

    weights: Tensor
    lines: tuple[Line, ...]
    size: float
    error: float
    factor_sq: int = 1

    @classmethod
    def of(cls, weight: Tensor, lines: Sequence[Line]) -> LineOperators:
        """Take a convolution as it is.

        Args:
            weight: (groups, out/groups, in/groups, taps ...), float64, largest entry in [1/2, 1).
            lines: One for each axis.

        Returns:
            One operator for each group.
        """
        return cls(weight, tuple(lines), _absolute_norm(weight, lines), 0.0)

    @property
    def rows(self) -> int:
        """Numbers in one output."""
        return self.weights.shape[1] * math.prod(line.outputs for line in self.lines)

    @property
    def columns(self) -> int:
        """Numbers in one input."""
        return self.weights.shape[2] * math.prod(line.size for line in self.lines)

    def at_frequencies(self, axes: Sequence[int], twists: Sequence[int]) -> LineOperators:
        """Replace some axes by frequencies of their rings.

        Args:
            axes: Which ones; the others stay.
            twists: 1 for frequencies halfway between those of the ring, 0 for its own, for each of `axes`.

        Returns:
            One operator for each group and frequency, up to complex conjugation.
        """
        chosen = [self.lines[axis] for axis in axes]
        kept = tuple(line for axis, line in enumerate(self.lines) if axis not in axes)
        table = _table(chosen, twists)
        taps = math.prod(line.taps for line in chosen)
        moved = self.weights.movedim([3 + axis for axis in axes], list(range(len(axes))))
        flat = moved.reshape(taps, -1)
        mixed = torch.complex(table.real.reshape(-1, taps) @ flat, table.imag.reshape(-1, taps) @ flat)
        groups, out, inner = self.weights.shape[:3]
        # (frequency, residue, group, out, in, ...) -> (frequency and group, out, in and residue, ...)
        mixed = mixed.reshape(*table.shape[:2], groups, out, inner, *(line.taps for line in kept))
        mixed = mixed.permute(0, 2, 3, 4, 1, *range(5, mixed.ndim)).flatten(0, 1).flatten(2, 3).contiguous()
        # Each part of an entry is a sum of `taps` products with numbers that are off by _COS_ERROR.
        error = multiply_up(2 * (gamma(taps + 4) + 2 * _COS_ERROR), self.size)
        copies = math.prod(line.ring.copies for line in chosen)
        size = multiply_up(self.size, 1.0 + 2.0**-20)
        return LineOperators(mixed, kept, size, error, self.factor_sq * copies)

    def estimate(self, enough: float = math.inf) -> float:
        """Estimate the largest norm in the batch by Lanczos steps: from below, up to rounding, but not proved.

        Args:
            enough: Stop when the estimate is as large as this.

        Returns:
            The estimate, without the factor.
        """
        generator = torch.Generator().manual_seed(0)
        shape = len(self.weights), self.weights.shape[2], *(line.size for line in self.lines)
        new = torch.randn(shape, dtype=torch.float64, generator=generator).to(self.weights.dtype)
        old, beta = torch.zeros_like(new), torch.zeros(len(new), dtype=torch.float64)
        diagonal: list[Tensor] = []
        beside: list[Tensor] = []
        last = 0.0
        new = new / _lengths(new)
        for step in range(1, _STEPS + 1):
            image = self._adjoint(self._apply(new)) - _column(beta, new) * old
            diagonal.append((image * new.conj()).real.flatten(1).sum(1))
            image = image - _column(diagonal[-1], new) * new
            beta = _lengths(image).flatten()
            beside.append(beta)
            old, new = new, image / _column(beta.clamp(min=1e-300), new)
            if step % _CHECK_EVERY == 0 or step == _STEPS:
                top = _tridiagonal_top(diagonal, beside)
                if top >= enough * enough or top - last <= 1e-9 * top:
                    break
                last = top
        return math.sqrt(max(top, 0.0))

    def _apply(self, x: Tensor) -> Tensor:
        # (batch, in, sizes ...) -> (batch, out, outputs ...)
        for axis, line in enumerate(self.lines):
            x = _gather(x, 2 + 2 * axis, line)
        x = _taps_last(x, len(self.lines)).flatten(1, 1 + len(self.lines))
        y = self.weights.flatten(2) @ x.flatten(2)
        return y.unflatten(-1, [line.outputs for line in self.lines] or [1])

    def _adjoint(self, y: Tensor) -> Tensor:
        x = self.weights.flatten(2).mH @ y.flatten(2)
        x = x.unflatten(1, self.weights.shape[2:]).unflatten(-1, [line.outputs for line in self.lines] or [1])
        if not self.lines:
            return x[..., 0]
        count = len(self.lines)
        order = [0, 1, *(i for axis in range(count) for i in (2 + count + axis, 2 + axis))]
        x = x.permute(order)
        for axis, line in enumerate(self.lines):
            x = _scatter(x, 2 + axis, line)
        return x


def _gather(x: Tensor, dim: int, line: Line) -> Tensor:
    # (..., size, ...) -> (..., outputs, taps, ...)
    zero = torch.zeros_like(x.narrow(dim, 0, 1))
    return torch.cat([zero, x], dim).index_select(dim, line.reads.flatten() + 1).unflatten(dim, line.reads.shape)


def _scatter(x: Tensor, dim: int, line: Line) -> Tensor:
    x = x.flatten(dim, dim + 1)
    shape = [*x.shape[:dim], line.size + 1, *x.shape[dim + 1 :]]
    return x.new_zeros(shape).index_add_(dim, line.reads.flatten() + 1, x).narrow(dim, 1, line.size)


def _taps_last(x: Tensor, count: int) -> Tensor:
    # (batch, in, outputs, taps, outputs, taps ...) -> (batch, in, taps, taps ..., outputs, outputs ...)
    if count == 0:
        return x.unsqueeze(-1)
    order = [0, 1, *(3 + 2 * i for i in range(count)), *(2 + 2 * i for i in range(count))]
    return x.permute(order)


def _lengths(x: Tensor) -> Tensor:
    return _column(torch.linalg.vector_norm(x.flatten(1), dim=1), x)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _tridiagonal_top(diagonal: list[Tensor], beside: list[Tensor]) -> float:
    main = torch.diag_embed(torch.stack(diagonal, 1))
    if len(diagonal) > 1:
        main = main + torch.diag_embed(torch.stack(beside[:-1], 1), -1)
    return float(torch.linalg.eigvalsh(main)[:, -1].max())


def _absolute_norm(weight: Tensor, lines: Sequence[Line]) -> float:
    # || |T| || <= sum over taps of ||W_a||_F times the norms of the S_a.
    taps = frobenius_squared_up(weight.movedim((1, 2), (-2, -1))).sqrt()
    for axis, line in enumerate(lines):
        roots = line.norms_sq.double().sqrt()
        taps = taps * roots.reshape(-1, *[1] * (len(lines) - axis - 1))
    terms = math.prod(weight.shape[3:]) + 2 * len(lines) + 2
    return float(sum_up(taps.flatten(1).sum(1), terms).max())


def _table(lines: Sequence[Line], twists: Sequence[int]) -> Tensor:
    # (frequencies, residues, taps), complex: exp(i th v_a) where tap a has that residue, else 0.
    halves = [2 * line.ring.length for line in lines]
    points = torch.tensor(
        list(itertools.product(*(range(twist, half, 2) for half, twist in zip(halves, twists, strict=True))))
    ).reshape(-1, len(lines))
    points = points[_code(points, halves) <= _code(-points, halves)]
    shifts = torch.cartesian_prod(*(line.offsets // line.stride for line in lines)).reshape(-1, len(lines))
    residues = _code(
        torch.cartesian_prod(*(line.offsets % line.stride for line in lines)).reshape(-1, len(lines)),
        [line.stride for line in lines],
    )
    # In units of the product of all halves, so that whole turns are taken off in integers.
    total = math.prod(halves)
    turns = (points * torch.tensor([total // half for half in halves])) @ shifts.T % total
    angle = torch.where(2 * turns > total, turns - total, turns).double() * (2 * math.pi / total)
    strides = math.prod(line.stride for line in lines)
    mask = (residues == torch.arange(strides)[:, None]).double()
    return torch.complex(angle.cos()[:, None] * mask, angle.sin()[:, None] * mask)


def _code(points: Tensor, sizes: Sequence[int]) -> Tensor:
    code = torch.zeros(len(points), dtype=torch.int64)
    for column, size in zip(points.unbind(1), sizes, strict=True):
        code = code * size + column % size
    return code


def norm_with_error(square: float, operators: LineOperators) -> float:
    """Turn a bound of the largest ||T_b||^2 into one of the norm in question.

    Args:
        square: The bound.
        operators: The batch.

    Returns:
        (sqrt(square) + error) times the root of the factor, rounded up.
    """
    outer = math.nextafter(sqrt_up(square) + operators.error, math.inf)
    return multiply_up(sqrt_up(float(operators.factor_sq)), outer)
