"""The AOC residual block: one gradient step with an orthogonal convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.block_kernel import BlockKernel, Rank, block_plan
from onelip.layers.gradient_residual import GradientResidualConv2d, GradientResidualLinear
from onelip.layers.projection import RETRACTED, Projection, orthogonal_parameter, projection
from onelip.layers.registry import register
from onelip.linalg.polar import polar_factor

_PAPER = "Boissin et al. 2025, arXiv:2501.08430 (Orthogonium); Meunier et al. 2022, arXiv:2110.12690"


@register(
    kind="conv2d",
    name="aoc-residual",
    paddings=("zeros", "circular"),
    square=True,
    strides=False,
    paper=_PAPER,
    cost="one orthogonalisation of a matrix and one of k_h + k_w - 2 frames, and their composition",
)
class AOCResidualConv2d(BlockKernel, GradientResidualConv2d):
    """y = x - 2 K^T relu(K x + b) with K an orthogonal convolution, composed as in `AOCConv2d`.

    |K| = 1 needs no scale, so the step is as long as the potential allows in every direction, unlike in CPL and SLL.
    1-Lipschitz for zero and circular padding at every image size; not orthogonal, since the ReLU is part of the layer.

    Shape: `(N, C, H, W)` to the same with padding "same".

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; the same number.
        kernel_size: An int or (height, width).
        stride: 1.
        padding: An int, a pair, "same" or "valid"; other than "same" crops or frames the output.
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias inside the ReLU?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_channels: Channels between K and K^T; None for as many as in the input, or twice as many where groups have
            one channel and the kernel more than one tap, of which one inner channel could use but one.
        orthogonaliser: As in `AOCConv2d`.
        rank: As in `AOCConv2d`.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `AOCConv2d`; two convolutions at inference.
    Paper: Boissin, Mamalet, Fel, Picard, Massena and Serrurier 2025, arXiv:2501.08430; the step is that of Meunier et
    al. 2022, arXiv:2110.12690.
    """

    orthogonal = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        inner_channels: int | None = None,
        orthogonaliser: Projection = "polar-express",
        rank: Rank = "half",
    ) -> None:
        if inner_channels is None and type(in_channels) is int and in_channels == groups:
            inner_channels = in_channels if kernel_size in (1, (1, 1)) else 2 * in_channels
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            inner_channels=inner_channels,
        )
        self._compose(block_plan(self.inner_arguments, ranks=rank), rank, orthogonaliser, device, dtype)


@register(
    kind="linear",
    name="aoc-residual",
    square=True,
    paper=_PAPER,
    cost="one orthogonalisation of an (inner, in) matrix",
)
class AOCResidualLinear(GradientResidualLinear):
    """y = x - 2 K^T relu(K x + b) with K semi-orthogonal: `AOCResidualConv2d` on one pixel.

    1-Lipschitz; not orthogonal. The ReLU is part of the layer.

    Shape: `(..., features)` to the same.

    Args:
        in_features: Size of the input.
        out_features: Size of the output; the same number.
        bias: Add a learned bias inside the ReLU?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_features: Size between K and K^T; None for that of the input.
        orthogonaliser: As in `AOCConv2d`.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: one orthogonalisation; two products at inference.
    Paper: as `AOCResidualConv2d`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        inner_features: int | None = None,
        orthogonaliser: Projection = "polar-express",
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype, inner_features=inner_features)
        projection(type(self).__name__, orthogonaliser)
        self.orthogonaliser = orthogonaliser
        self.raw_weight = orthogonal_parameter(*self._weight_shape(), device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return projection(type(self).__name__, self.orthogonaliser)(raw[0]).matrix

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return (projection(type(self).__name__, self.orthogonaliser)(raw[0], tol=RETRACTED).matrix,)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (polar_factor(weight),)

    @override
    def options(self) -> dict[str, Any]:
        return {"orthogonaliser": self.orthogonaliser}
