"""Clipping of a convolution's symbol: the nearest kernel whose matrices at the frequencies of a grid are small."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.modules.conv import _ConvNd

from onelip.spectral.nearest import Nearest, nearest
from onelip.spectral.parts import TRANSPOSED
from onelip.spectral.shrinking import Factors, spectral_norms

_MOST_WORK = 3e10
"""Entries of all matrices times the lesser of their sides, for which every frequency is looked at."""

_AT_ONCE = 2**22
"""Entries of the matrices in memory."""

_POINTS_PER_TAP = 4
"""Frequencies of the grid per axis, at most, for each position that a kernel spans."""


@dataclass(frozen=True, eq=False)
class Symbol:
    """The matrices of a convolution at the frequencies of a grid, as a linear function of its kernel.

    On a circle of N positions per axis, a convolution with stride s splits into one matrix for each of (N / s)^d
    frequencies q, `(out, in s^d)`: the kernel's Fourier transforms at the s^d frequencies that the stride makes alike,
    side by side, over s^(d/2). With zeros around an image of n positions it is a section of that with
    N >= n + dilation (kernel - 1), whence its norm is at most the largest of these norms. One of each pair q, -q is
    kept, as the other is its conjugate, and scaled by the root of its count.

    Attributes:
        waves: `(taps, F, s^d)`, complex: e^(-i <t, w>) with all factors.
        counts: `(F,)`, 1 or 2.
    """

    waves: Tensor
    counts: Tensor

    @property
    def square_norm(self) -> float:
        """Norm, squared, of the map from kernels to matrices."""
        rows = self.waves.flatten(1)
        return float(torch.linalg.eigvalsh((rows @ rows.mH).real)[-1])

    def apply(self, kernel: Tensor) -> Tensor:
        """Give the matrices.

        Args:
            kernel: `(groups, out, in, taps)`.

        Returns:
            `(groups, F, out, in s^d)`.
        """
        values = torch.einsum("goit,tfs->gfois", kernel.to(self.waves.dtype), self.waves)
        return values.flatten(3)

    def adjoint(self, matrices: Tensor) -> Tensor:
        """Apply the adjoint of `apply`.

        Args:
            matrices: `(groups, F, out, in s^d)`.

        Returns:
            `(groups, out, in, taps)`, real.
        """
        parts = matrices.unflatten(3, (-1, self.waves.shape[2]))
        return torch.einsum("gfois,tfs->goit", parts, self.waves.conj()).real


@dataclass(frozen=True)
class Grid:
    """What the symbol of a convolution depends on, besides its kernel.

    Attributes:
        points: Positions on each circle.
        size: Taps of the kernel per axis.
        stride: Per axis.
        dilation: Per axis.
    """

    points: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]


def grid_of(conv: _ConvNd, input_shape: tuple[int, ...], *, most: int | None = _POINTS_PER_TAP) -> Grid:
    """Choose the grid for a convolution at an input shape.

    Args:
        conv: A convolution or a transposed one, whose matrices are those of the convolution it is the adjoint of.
        input_shape: Shape of one input, without the batch.
        most: Frequencies per axis at most, for each position that the kernel spans; None for all.

    Returns:
        The grid.
    """
    size, stride, dilation = conv.kernel_size, conv.stride, conv.dilation
    image = input_shape[-len(size) :]
    if isinstance(conv, TRANSPOSED):
        image = tuple(n * s for n, s in zip(image, stride, strict=True))
    points_per_axis = []
    for n, k, s, d in zip(image, size, stride, dilation, strict=True):
        span = d * (k - 1) + 1
        points = n if conv.padding_mode == "circular" and n % s == 0 else n + span - 1
        if most is not None:
            points = min(points, most * span)
        points_per_axis.append(-(-points // s) * s)
    return Grid(tuple(points_per_axis), size, stride, dilation)


def symbol_of(conv: _ConvNd, input_shape: tuple[int, ...], *, most: int | None = _POINTS_PER_TAP) -> Symbol:
    """Make the symbol of a convolution at an input shape, on the grid that `grid_of` chooses.

    Args:
        conv: A convolution or a transposed one.
        input_shape: Shape of one input, without the batch.
        most: See `grid_of`.

    Returns:
        Its symbol.
    """
    return symbol_on(grid_of(conv, input_shape, most=most), conv.weight)


def symbol_on(grid: Grid, like: Tensor) -> Symbol:
    """Make the symbol of convolutions on a grid.

    Args:
        grid: The grid.
        like: Its device, and its precision if it is float64, are those of the symbol.

    Returns:
        The symbol.
    """
    coarse = [n // s for n, s in zip(grid.points, grid.stride, strict=True)]
    kept, counts = [], []
    for q in itertools.product(*map(range, coarse)):
        mirrored = tuple(-a % m for a, m in zip(q, coarse, strict=True))
        if q <= mirrored:
            kept.append(q)
            counts.append(1 if q == mirrored else 2)
    aliases = list(itertools.product(*map(range, grid.stride)))
    steps = torch.tensor(list(itertools.product(*map(range, grid.size))), dtype=torch.float64)
    taps = steps * torch.tensor(grid.dilation)
    offsets = torch.tensor(aliases, dtype=torch.float64) * torch.tensor(coarse)
    points = torch.tensor(kept, dtype=torch.float64)[:, None] + offsets
    waves_per_axis = 2 * math.pi * points / torch.tensor(grid.points, dtype=torch.float64)
    angles = torch.einsum("td,fsd->tfs", taps, waves_per_axis)
    number = torch.tensor(counts, dtype=torch.float64)
    scale = (number / len(aliases)).sqrt()[:, None]
    waves = torch.polar(torch.ones_like(angles), -angles) * scale
    wide = torch.complex128 if like.dtype == torch.float64 else torch.complex64
    return Symbol(waves.to(like.device, wide), number.to(like.device))


def clip_symbol(
    conv: _ConvNd, symbol: Symbol, max_norm: float, *, dual: Tensor | None = None, max_iter: int = 60
) -> Nearest:
    """Find the nearest kernel whose matrices have norm at most a bound.

    Args:
        conv: A convolution or a transposed one; not changed.
        symbol: Its symbol.
        max_norm: The bound.
        dual: Of an earlier call, to start from.
        max_iter: Most steps.

    Returns:
        The projection; its `point` is of the shape `(groups, out / groups, in, taps)`.
    """
    kernel = conv.weight.detach().unflatten(0, (conv.groups, -1)).flatten(3)

    def pull(factors: Factors) -> Tensor:
        return symbol.adjoint(factors.full)

    bound = (max_norm * symbol.counts.sqrt()).to(kernel.dtype).expand(conv.groups, -1)
    return nearest(
        kernel, symbol.apply, pull, bound, step=1 / symbol.square_norm, gap=0.05, dual=dual, max_iter=max_iter
    )


def torus_norm(conv: _ConvNd, input_shape: tuple[int, ...]) -> float | None:
    """Bound the norm of a convolution by that on a circle, at all of its frequencies.

    Args:
        conv: A convolution or a transposed one.
        input_shape: Shape of one input, without the batch.

    Returns:
        At least the norm, up to rounding, and near it if the image is much larger than the kernel; None where the layer
        is no section of a convolution on a circle, or it is too much work.
    """
    if not _is_section(conv, input_shape):
        return None
    symbol = symbol_of(conv, input_shape, most=None)
    kernel = conv.weight.detach().unflatten(0, (conv.groups, -1)).flatten(3)
    size = math.prod(kernel.shape[:3]) * symbol.waves.shape[2]
    if size * min(kernel.shape[1:3]) * len(symbol.counts) > _MOST_WORK:
        return None
    count = max(1, _AT_ONCE // size)
    pieces = zip(symbol.waves.split(count, dim=1), symbol.counts.split(count), strict=True)
    return max(
        float((spectral_norms(Symbol(waves, counts).apply(kernel)) / counts.sqrt()).max()) for waves, counts in pieces
    )


def _is_section(conv: _ConvNd, input_shape: tuple[int, ...]) -> bool:
    if conv.padding_mode == "zeros":
        return True
    if conv.padding_mode != "circular":
        return False
    reach = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
    if isinstance(conv.padding, str):
        pads = reach if conv.padding == "same" else [0] * len(reach)
    else:
        pads = [2 * p for p in conv.padding]
    axes = zip(input_shape[-len(reach) :], pads, conv.stride, reach, strict=True)
    # Every output of the circle at most once.
    return all(n % s == 0 and (n + p - r - 1) // s + 1 <= n // s for n, p, s, r in axes)
