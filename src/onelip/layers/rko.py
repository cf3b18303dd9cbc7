"""RKO: convolutions whose kernel, reshaped to a matrix, is orthogonal."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd, prod, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import ConvArguments
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d
from onelip.layers.explicit_1d import ExplicitConv1d
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.near_isometry import orthogonal_kernel
from onelip.layers.orthogonal_block import OrthogonalBlock
from onelip.layers.projection import RETRACTED, Projection, projection
from onelip.layers.registry import register
from onelip.linalg.polar import polar_factor

_PAPER = "Serrurier et al. 2021, arXiv:2006.06520"
_COST = "one orthogonalisation of an (out, in k_h k_w) matrix"


def patch_overlap(arguments: ConvArguments) -> int:
    """Count the patches that the most used pixel is in: the product of ceil(k gcd(s, d) / s) over both axes.

    The taps of an axis lie at d t; their residues modulo the stride s repeat with period s / gcd(s, d).

    Args:
        arguments: Those of the layer.

    Returns:
        The number, at least 1.
    """
    return prod(ceil(k * gcd(s, d) / s) for k, s, d in _axes(arguments))


def reshaped_kernel_is_orthogonal(arguments: ConvArguments, rows: int, columns: int) -> bool:
    """Say whether a semi-orthogonal reshaped kernel, over the root of the overlap, keeps every singular value at 1.

    Args:
        arguments: Those of the layer.
        rows: Output channels of a group.
        columns: Input channels of a group.

    Returns:
        True if patches share no pixels and rows or pixels are not lost, or if every pixel is in equally many patches
        and the reshaped kernel is an isometry.
    """
    window = prod(arguments.kernel_size)
    if patch_overlap(arguments) == 1:
        return rows <= columns * window or window == prod(arguments.stride)
    return rows >= columns * window and all(k % s == 0 and gcd(s, d) == 1 for k, s, d in _axes(arguments))


def _axes(arguments: ConvArguments) -> Iterator[tuple[int, int, int]]:
    return zip(arguments.kernel_size, arguments.stride, arguments.dilation, strict=True)


class _RKO(ExplicitWeight):
    """The kernel that both forms share."""

    raw_weight: nn.Parameter
    arguments: ConvArguments

    def _prepare(self, orthogonaliser: Projection, device: Any, dtype: Any) -> None:
        self.orthogonaliser = orthogonaliser
        projection(type(self).__name__, orthogonaliser)
        shape = self._weight_shape()
        groups, rows = self.arguments.groups, shape[0] // self.arguments.groups
        self.orthogonal = reshaped_kernel_is_orthogonal(self.arguments, rows, shape[1])
        self._scale = 1 / sqrt(patch_overlap(self.arguments))
        self.raw_weight = orthogonal_kernel(groups, shape, device=device, dtype=dtype)

    def _matrices(self, kernel: Tensor) -> Tensor:
        return kernel.reshape(self.arguments.groups, kernel.shape[0] // self.arguments.groups, -1)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        return self.compose(orthogonalise(self._matrices(raw[0])).matrix.reshape(raw[0].shape))

    @override
    def compose(self, *raw: Tensor) -> Tensor:
        return raw[0] * self._scale

    @override
    def orthogonal_blocks(self) -> tuple[OrthogonalBlock, ...]:
        return (OrthogonalBlock(self.raw_weight, tuple(self._matrices(self.raw_weight.detach()).shape)),)

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        return (orthogonalise(self._matrices(raw[0]), tol=RETRACTED).matrix.reshape(raw[0].shape),)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (polar_factor(self._matrices(weight)).reshape(weight.shape),)

    @override
    def options(self) -> dict[str, Any]:
        return {"orthogonaliser": self.orthogonaliser}


@register(
    kind="conv2d",
    name="rko",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost=_COST,
)
class RKOConv2d(_RKO, ExplicitConv2d):
    """Convolution with a reshaped kernel that is semi-orthogonal, divided by the root of the patches' overlap.

    K = Q / sqrt(m), Q (out, in k_h k_w) semi-orthogonal (per group), m = ceil(k_h / s_h) ceil(k_w / s_w) the number of
    patches that a pixel is in (with a common divisor g of stride and dilation, ceil(k g / s)). Cutting into patches has
    norm sqrt(m), so the norm of the convolution is at most 1 with zeros and with circular padding, for every image.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Attribute `orthogonal` says whether every singular value is 1,
    under circular padding by d (k - 1) in all or none, of images that the stride divides: if the kernel is as
    large as the stride (and coprime to the dilation), if it is smaller and out <= in k_h k_w, or if it is a multiple
    of the stride and out >= in k_h k_w.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        orthogonaliser: Projection that makes Q orthogonal: "bjorck", "cholesky", "newton-schulz", "polar-express" or
            "qr".

    Raises:
        ValueError: If an argument is not allowed.

    Cost: one orthogonalisation per weight update; nothing at inference.
    Paper: Serrurier et al. 2021, arXiv:2006.06520; Li et al. 2019, arXiv:1911.00937, section 4.1.
    """

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
        orthogonaliser: Projection = "polar-express",
    ) -> None:
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
        )
        self._prepare(orthogonaliser, device, dtype)


@register(kind="conv1d", name="rko", orthogonal=True, paddings=("zeros", "circular"), paper=_PAPER, cost=_COST)
class RKOConv1d(_RKO, ExplicitConv1d):
    """1-D convolution with a reshaped kernel that is semi-orthogonal: `RKOConv2d` of height 1.

    `(N, in, L)` -> `(N, out, L')` as in torch. The norm is at most 1; `orthogonal` as in `RKOConv2d`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int.
        stride: An int.
        padding: An int, "same" or "valid".
        dilation: An int.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        orthogonaliser: As in `RKOConv2d`.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `RKOConv2d`.
    Paper: Serrurier et al. 2021, arXiv:2006.06520.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] | str = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        orthogonaliser: Projection = "polar-express",
    ) -> None:
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
        )
        self._prepare(orthogonaliser, device, dtype)


@register(
    kind="conv_transpose2d",
    name="rko",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost=_COST,
)
class RKOConvTranspose2d(_RKO, ExplicitConvTranspose2d):
    """Transposed convolution, the adjoint of `RKOConv2d` from `out_channels` to `in_channels`.

    `(N, in, h, w)` -> `(N, out, H, W)` as in torch; with circular padding H = s_h h, W = s_w w. The norm is at most 1;
    `orthogonal` says whether every singular value is 1 under circular padding by d (k - 1) in all.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: Pixels cropped from each side, an int or a pair.
        output_padding: Pixels added at the end of each axis ("zeros" only).
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        dilation: An int or a pair.
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        orthogonaliser: As in `RKOConv2d`.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `RKOConv2d`.
    Paper: Serrurier et al. 2021, arXiv:2006.06520.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        orthogonaliser: Projection = "polar-express",
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            groups,
            bias,
            dilation,
            padding_mode,
            device,
            dtype,
        )
        self._prepare(orthogonaliser, device, dtype)
