"""The explicit kernels of BCOP and AOC: a semi-orthogonal matrix and two-tap factors."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import ConvArguments, Pair
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.projection import RETRACTED, Projection, orthogonal_parameter, projection
from onelip.linalg.block_convolution import compose_factors, factor_axes, fit_factors
from onelip.linalg.polar import polar_factor


@dataclass(frozen=True)
class BlockPlan:
    """How an orthogonal kernel is composed: start, a kernel as large as the stride, then two-tap factors.

    Attributes:
        groups: Number of groups.
        rows: Output channels of a group.
        columns: Input channels of a group.
        start: Height and width of the start, min(kernel, stride) along each axis.
        axes: The axis of each factor, as `factor_axes` orders them.
        channels: Channels that the factors act on, at least 2 if there are any.
        factors_last: Do the factors act on the outputs (stride 1, no fewer outputs than inputs) or on the inputs?
    """

    groups: int
    rows: int
    columns: int
    start: Pair
    axes: tuple[int, ...]
    channels: int
    factors_last: bool

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """Shape of the start as one matrix per group."""
        width = self.columns if self.factors_last else self.channels * prod(self.start)
        return self.groups, self.rows, width

    @property
    def rank(self) -> int:
        """Rank of the projectors: half the channels, which gives the most free parameters."""
        return self.channels // 2

    def kernel(self, matrix: Tensor, frames: Tensor | None) -> Tensor:
        """Compose the kernel.

        Args:
            matrix: Semi-orthogonal, of shape `matrix_shape`.
            frames: (n, groups, channels, rank) with orthonormal columns, or None if there are no factors.

        Returns:
            (groups rows, columns, kh, kw).
        """
        x = self._channels_first(matrix.reshape(self.groups, self.rows, -1, *self.start))
        if frames is not None:
            x = compose_factors(x, frames, list(self.axes))
        kernel = self._outputs_first(x)[:, :, : self.columns]
        return kernel.reshape(-1, self.columns, *x.shape[2:4]).contiguous()

    def fit(self, kernel: Tensor, guess: Tensor | None) -> tuple[Tensor, Tensor]:
        """Find parameters whose kernel is near a given one.

        Args:
            kernel: (groups rows, columns, kh, kw), float64.
            guess: Frames to begin with if they are good, or None.

        Returns:
            The matrix and the frames.
        """
        target = self._channels_first(kernel.unflatten(0, (self.groups, self.rows)))
        target = F.pad(target, (0, 0, 0, 0, 0, 0, 0, self.channels - target.shape[1]))
        start, frames = fit_factors(target, list(self.axes), self.rank, guess)
        return self._outputs_first(start).reshape(self.matrix_shape), frames

    def _channels_first(self, x: Tensor) -> Tensor:
        # (groups, rows, columns, kh, kw) to (groups, channels, kh, kw, rest).
        return x.permute((0, 1, 3, 4, 2) if self.factors_last else (0, 2, 3, 4, 1))

    def _outputs_first(self, x: Tensor) -> Tensor:
        # The inverse of `_channels_first`.
        return x.permute((0, 1, 4, 2, 3) if self.factors_last else (0, 4, 1, 2, 3))


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


def block_plan(arguments: ConvArguments, *, transposed: bool = False) -> BlockPlan:
    """Decide how to compose the kernel of an orthogonal convolution.

    Args:
        arguments: Those of the layer.
        transposed: Is the layer the adjoint of the convolution from `out_channels` to `in_channels`?

    Returns:
        The plan.

    Raises:
        ValueError: If no orthogonal kernel of these sizes can be composed.
    """
    a = arguments
    rows, columns, channels, start = strided_start(a, transposed=transposed)
    axes = factor_axes(a.kernel_size[0] - start[0], a.kernel_size[1] - start[1])
    if axes and channels < 2:
        raise ValueError(
            f"groups={a.groups} in {a.owner} leaves in_channels={a.in_channels} and out_channels={a.out_channels} with "
            f"one channel per group, where an orthogonal kernel is one tap of +1 or -1; "
            f"use fewer groups, more channels or kernel_size={start}"
        )
    return BlockPlan(a.groups, rows, columns, start, tuple(axes), channels, start == (1, 1) and rows >= columns)


class BlockKernel(ExplicitWeight):
    """Base of layers whose kernel is composed by block convolution.

    A subclass also derives from `ExplicitConv2d` or `ExplicitConvTranspose2d`, and calls `_compose` at the end of its
    constructor.
    """

    raw_names: ClassVar[tuple[str, ...]] = ("raw_weight", "raw_frames")
    orthogonal = True
    raw_weight: nn.Parameter
    raw_frames: nn.Parameter | None

    def _compose(self, plan: BlockPlan, orthogonaliser: Projection, device: Any, dtype: Any) -> None:
        self._plan = plan
        self.orthogonaliser = orthogonaliser
        projection(type(self).__name__, orthogonaliser)
        self.raw_weight = orthogonal_parameter(*plan.matrix_shape, device=device, dtype=dtype)
        frames = (len(plan.axes), plan.groups, plan.channels, plan.rank)
        self.raw_frames = orthogonal_parameter(*frames, device=device, dtype=dtype) if plan.axes else None

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        matrix, *frames = (orthogonalise(r).matrix for r in raw)
        return self._plan.kernel(matrix, frames[0] if frames else None)

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        return tuple(orthogonalise(r, tol=RETRACTED).matrix for r in raw)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        # Kernels with more channels between than inputs are not always recovered, but those of this layer are.
        frames = None if self.raw_frames is None else polar_factor(self.raw_frames.double())
        return self._plan.fit(weight, frames)[: len(self.raw)]

    @override
    def options(self) -> dict[str, Any]:
        return {"orthogonaliser": self.orthogonaliser}
