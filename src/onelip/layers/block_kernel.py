"""The explicit kernels of BCOP and AOC: a semi-orthogonal matrix and two-tap factors."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, pi, prod
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.block_start import Start, check_start, undo_in_pairs_
from onelip.layers.conv_arguments import ConvArguments, Pair
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.orthogonal_block import OrthogonalBlock
from onelip.layers.projection import RETRACTED, Projection, orthogonal_parameter, projection
from onelip.linalg import unknown_name
from onelip.linalg.block_convolution import compose_factors, factor_axes, fit_factors
from onelip.linalg.polar import polar_factor

Rank = Literal["half", "free", "doubled"]
RANKS: tuple[str, ...] = get_args(Rank)

_FIRST_ANGLE = 0.2
"""Typical distance of a fresh angle from 0, where its column is taken or dropped: near it, both are open."""

_TURN = 0.25
"""Angles turn slower than the frames, or ranks flip before the frames have found their directions: of 36 shifts of four
channels and a 3x3 kernel 33 are learned at factors 1 and 2, 34 or 35 at 1/2, and 36 at 1/4."""


@dataclass(frozen=True)
class BlockPlan:
    """How an orthogonal kernel is composed: start, a kernel as large as the stride, then two-tap factors.

    Attributes:
        groups: Number of groups.
        rows: Output channels of a group.
        columns: Input channels of a group.
        start: Height and width of the start, min(kernel, seen stride) along each axis.
        axes: The axis of each factor, as `factor_axes` orders them.
        channels: Channels of the kernel that the factors act on.
        factors_last: Do the factors act on the outputs (stride 1, no fewer outputs than inputs) or on the inputs?
        ranks: Have the projectors half of the channels as rank ("half"), a learned one ("free"), or half of twice the
            channels, of which the kernel is a block ("doubled")?
    """

    groups: int
    rows: int
    columns: int
    start: Pair
    axes: tuple[int, ...]
    channels: int
    factors_last: bool
    ranks: Rank = "half"

    @property
    def doubled(self) -> bool:
        """Is the kernel a block of one of twice the channels?"""
        return self.ranks == "doubled" and bool(self.axes)

    @property
    def inner(self) -> int:
        """Channels that the factors act on."""
        return self.channels * (2 if self.doubled else 1)

    @property
    def tall(self) -> bool:
        """Has the start orthonormal columns rather than rows?"""
        return self.factors_last or self.rows > self.channels * prod(self.start)

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """Shape of the start as one matrix per group."""
        rows = 2 * self.rows if self.doubled and self.tall else self.rows
        return self.groups, rows, self.columns if self.factors_last else self.inner * prod(self.start)

    @property
    def frames_shape(self) -> tuple[int, int, int, int]:
        """Shape of the frames: as many columns as the largest rank of a projector."""
        columns = self.inner if self.ranks == "free" else self.inner // 2
        return len(self.axes), self.groups, self.inner, columns

    def kernel(self, matrix: Tensor, frames: Tensor | None) -> Tensor:
        """Compose the kernel.

        Args:
            matrix: Semi-orthogonal, of shape `matrix_shape`.
            frames: Of shape `frames_shape`, with orthonormal columns or zero ones, or None if there are no factors.

        Returns:
            (groups rows, columns, kh, kw).
        """
        x = self._channels_first(matrix.reshape(*matrix.shape[:2], -1, *self.start))
        if frames is not None:
            x = compose_factors(x, frames, list(self.axes))
        kernel = self._outputs_first(x)[:, : self.rows, : self.columns]
        return kernel.reshape(-1, self.columns, *x.shape[2:4]).contiguous()

    def fit(self, kernel: Tensor, guess: Tensor | None) -> tuple[Tensor, Tensor]:
        """Find parameters whose kernel is near a given one.

        Args:
            kernel: (groups rows, columns, kh, kw), float64.
            guess: Frames to begin with if they are good, or None. Not used by a doubled kernel.

        Returns:
            The matrix and the frames; free ones have zero columns beyond their rank.
        """
        target = self._channels_first(kernel.unflatten(0, (self.groups, self.rows)))
        target = F.pad(target, (0, 0, 0, 0, 0, 0, 0, self.channels - target.shape[1]))
        rank = self.channels // 2 if self.ranks == "half" else None
        start, frames = fit_factors(target, list(self.axes), rank, None if self.doubled else guess)
        matrix = self._outputs_first(start)
        if not self.doubled:
            return matrix.reshape(self.matrix_shape), frames
        return self._embedded(matrix).reshape(self.matrix_shape), _embedded_frames(frames)

    def _embedded(self, matrix: Tensor) -> Tensor:
        # The start of twice the channels: with zeros where that keeps it semi-orthogonal, else twice on the diagonal.
        zeros = torch.zeros_like(matrix)
        if self.factors_last:
            return torch.cat([matrix, zeros], 1)
        top = torch.cat([matrix, zeros], 2)
        return torch.cat([top, torch.cat([zeros, matrix], 2)], 1) if self.tall else top

    def _channels_first(self, x: Tensor) -> Tensor:
        # (groups, rows, columns, kh, kw) to (groups, channels, kh, kw, rest).
        return x.permute((0, 1, 3, 4, 2) if self.factors_last else (0, 2, 3, 4, 1))

    def _outputs_first(self, x: Tensor) -> Tensor:
        # The inverse of `_channels_first`.
        return x.permute((0, 1, 4, 2, 3) if self.factors_last else (0, 4, 1, 2, 3))


def _embedded_frames(frames: Tensor) -> Tensor:
    # diag(P, I_{n-r}, 0_r) of rank n for P of rank r: a zero column of the frame becomes a unit vector below it.
    missing = (frames.square().sum(-2) < 0.5).to(frames.dtype)
    return torch.cat([frames, torch.diag_embed(missing)], -2)


def strided_start(arguments: ConvArguments, *, transposed: bool = False) -> tuple[int, int, int, Pair]:
    """Lay out an orthogonal convolution: a semi-orthogonal kernel as large as the stride, after one of stride 1.

    Args:
        arguments: Those of the layer.
        transposed: Is the layer the adjoint of the convolution from `out_channels` to `in_channels`?

    Returns:
        Of one group, the outputs, the inputs and the channels between both kernels; and the size of the former, at most
        the stride. Where stride and dilation have a common divisor, the stride over that.

    Raises:
        ValueError: If stride and dilation miss pixels, or the kernel misses too many for its stride.
    """
    a = arguments
    columns, rows = a.in_channels // a.groups, a.out_channels // a.groups
    if transposed:
        columns, rows = rows, columns
    # Of the pixels only those are seen that a common divisor of stride and dilation leaves; on them both are smaller.
    step = (a.stride[0] // gcd(a.stride[0], a.dilation[0]), a.stride[1] // gcd(a.stride[1], a.dilation[1]))
    start = (min(a.kernel_size[0], step[0]), min(a.kernel_size[1], step[1]))
    window = prod(start)
    if step != a.stride and rows > columns * window:
        raise ValueError(
            f"dilation={a.dilation} in {a.owner} has a common divisor with stride={a.stride}, so that some pixels are "
            f"never seen, and {rows} channels cannot keep the {columns * window} values that are; use coprime ones"
        )
    if start != step and rows > columns * window:
        raise ValueError(
            f"kernel_size={a.kernel_size} in {a.owner} is smaller than stride={a.stride} and sees {columns * window} "
            f"of the values that {rows} channels would have to keep; use a kernel as large as the stride"
        )
    channels = max(columns, rows // window) if start == step else columns
    return rows, columns, channels, start


def block_plan(arguments: ConvArguments, *, transposed: bool = False, ranks: Rank = "half") -> BlockPlan:
    """Decide how to compose the kernel of an orthogonal convolution.

    Args:
        arguments: Those of the layer.
        transposed: Is the layer the adjoint of the convolution from `out_channels` to `in_channels`?
        ranks: Ranks of the projectors. Half of one channel is none, so a single one has free ranks.

    Returns:
        The plan.

    Raises:
        ValueError: If there is no orthogonal kernel of these sizes, or no such choice of ranks.
    """
    a = arguments
    if ranks not in RANKS:
        raise ValueError(f"rank={ranks!r} in {a.owner} is not known: {unknown_name('rank', str(ranks), RANKS)}")
    rows, columns, channels, start = strided_start(a, transposed=transposed)
    axes = factor_axes(a.kernel_size[0] - start[0], a.kernel_size[1] - start[1])
    if channels == 1 and ranks == "half":
        ranks = "free"
    return BlockPlan(a.groups, rows, columns, start, tuple(axes), channels, start == (1, 1) and rows >= columns, ranks)


def _first_angles(angles: Tensor, axes: tuple[int, ...]) -> Tensor:
    # Half of each factor's columns are taken; of an odd number every second factor of an axis takes the larger half.
    # Equal angles of one channel would stay equal, so they differ.
    angles.uniform_(0.5 * _FIRST_ANGLE, 1.5 * _FIRST_ANGLE)
    for i, axis in enumerate(axes):
        angles[i, :, (angles.shape[-1] + 1 - axes[:i].count(axis) % 2) // 2 :] *= -1
    return angles


def _unmirror_(matrices: Tensor) -> None:
    # The taps of a kernel sum to its start, and no change of ranks turns one of determinant -1 into one of +1.
    if matrices.shape[-1] == matrices.shape[-2]:
        with torch.no_grad():
            mirrored = torch.linalg.eigvals(matrices.double()).prod(-1).real < 0
            matrices[..., 0] *= torch.where(mirrored, -1, 1)[:, None].to(matrices.dtype)


def _taken(angles: Tensor) -> Tensor:
    # The part of each column of a frame that is taken: sin^2((angle + pi) / 4) of its projector.
    return torch.sin(_TURN * angles + pi / 4)


def _rounded(angles: Tensor) -> Tensor:
    # 1 where at least half is taken, else 0.
    return (torch.sin(2 * _TURN * angles) >= 0).to(angles.dtype)


class BlockKernel(ExplicitWeight):
    """Base of layers whose kernel is composed by block convolution.

    A subclass also derives from `ExplicitConv2d` or `ExplicitConvTranspose2d`, and calls `_compose` at the end of its
    constructor.
    """

    raw_names: ClassVar[tuple[str, ...]] = ("raw_weight", "raw_frames", "raw_angles")
    orthogonal = True
    raw_weight: nn.Parameter
    raw_frames: nn.Parameter | None
    raw_angles: nn.Parameter | None

    def _compose(
        self,
        plan: BlockPlan,
        rank: Rank,
        orthogonaliser: Projection,
        device: Any,
        dtype: Any,
        *,
        square: bool = False,
    ) -> None:
        self._plan, self.rank, self.orthogonaliser = plan, rank, orthogonaliser
        projection(type(self).__name__, orthogonaliser)
        if plan.doubled:
            self.orthogonal = False
        groups, *sides = plan.matrix_shape
        sides = [max(sides)] * 2 if square else sides
        self.raw_weight = orthogonal_parameter(groups, *sides, device=device, dtype=dtype)
        self.raw_frames = self.raw_angles = None
        if not plan.axes:
            return
        *batch, n, columns = plan.frames_shape
        self.raw_frames = orthogonal_parameter(*batch, n, n if square else columns, device=device, dtype=dtype)
        if plan.ranks == "free":
            angles = _first_angles(torch.empty(*batch, columns, device=device, dtype=dtype), plan.axes)
            self.raw_angles = nn.Parameter(angles)
            _unmirror_(self.raw_weight)

    def _begin_at(self, start: Start) -> None:
        self.start = start
        check_start(type(self).__name__, start, self._plan)
        if start == "identity":
            with torch.no_grad():
                self.raw_weight.copy_(torch.eye(self._plan.rows, dtype=self.raw_weight.dtype))
                if self.raw_frames is not None:
                    undo_in_pairs_(self.raw_frames, self._plan.axes)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        return self.compose(*(orthogonalise(r).matrix for r in raw[:2]), *raw[2:])

    @override
    def orthogonal_blocks(self) -> tuple[OrthogonalBlock, ...]:
        parameters = [self.raw_weight, *([] if self.raw_frames is None else [self.raw_frames])]
        return tuple(OrthogonalBlock(p, (prod(p.shape[:-2]), *p.shape[-2:])) for p in parameters)

    @override
    def compose(self, *raw: Tensor) -> Tensor:
        plan = self._plan
        matrix = raw[0][:, : plan.matrix_shape[1], : plan.matrix_shape[2]]
        if not plan.axes:
            return plan.kernel(matrix, None)
        frames = raw[1][..., : plan.frames_shape[3]]
        if plan.ranks != "free":
            return plan.kernel(matrix, frames)
        angles = raw[2][..., None, :]
        if not torch.is_grad_enabled():
            return plan.kernel(matrix, frames * _rounded(angles))
        with torch.no_grad():
            kernel = plan.kernel(matrix, frames * _rounded(angles))
        # The value is the orthogonal kernel's, the gradient that of a kernel between those of all ranks.
        between = plan.kernel(matrix, frames * _taken(angles))
        return kernel + (between - between.detach())

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        return *(orthogonalise(r, tol=RETRACTED).matrix for r in raw[:2]), *raw[2:]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        # Kernels with more channels between than inputs are not always recovered, but those of this layer are.
        matrix, frames = self._plan.fit(weight, self._present_frames())
        matrix = _completed(matrix, self.raw_weight)
        if self.raw_frames is None:
            return (matrix,)
        if self.raw_angles is None:
            return matrix, _completed(frames, self.raw_frames)
        # Frames of free ranks have zero columns: the eigenvectors of their projectors do not.
        eigenvalues, vectors = torch.linalg.eigh(frames @ frames.mT)
        return matrix, vectors, torch.where(eigenvalues > 0.5, 1.0, -1.0) * pi / 8 / _TURN

    def _present_frames(self) -> Tensor | None:
        if self.raw_frames is None:
            return None
        frames = polar_factor(self.raw_frames.double())[..., : self._plan.frames_shape[3]]
        return frames if self.raw_angles is None else frames * _rounded(self.raw_angles.double())[..., None, :]

    @override
    def options(self) -> dict[str, Any]:
        return {"orthogonaliser": self.orthogonaliser, "rank": self.rank}


def _completed(matrix: Tensor, like: Tensor) -> Tensor:
    # A square matrix whose first columns or rows are those given, if a square one is stored.
    if matrix.shape == like.shape:
        return matrix
    tall = matrix.shape[-2] >= matrix.shape[-1]
    columns = matrix if tall else matrix.mT
    rest = torch.linalg.qr(columns, mode="complete").Q[..., columns.shape[-1] :]
    whole = torch.cat([columns, rest], -1)
    return whole if tall else whole.mT
