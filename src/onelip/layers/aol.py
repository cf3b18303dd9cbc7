"""AOL: almost orthogonal layers, rescaled by row sums of the Gram kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import ConvArguments, Pair
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d, ExplicitLinear
from onelip.layers.explicit_1d import ExplicitConv1d
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.near_isometry import near_isometry
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg.gram_sums import gram_sums, perron_vector, scale_channels

_PAPER = "Prach and Lampert 2022, arXiv:2208.03160"


def aol(kernel: Tensor, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1) -> Tensor:
    """Rescale a convolution kernel so that it is 1-Lipschitz in l2.

    Channel i is divided by sqrt(d_i), d_i = sum over j of M_ij, M from `gram_sums`: on the input or output side,
    whichever has fewer channels. Orthogonal kernels are left alone; the result does not depend on the kernel's scale.

    Args:
        kernel: (out, in/groups, kh, kw), floating point; zero channels stay zero.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        Kernel of the same shape.
    """
    peak = kernel.detach().abs().amax()
    kernel = kernel / torch.where(peak > 0, peak, 1.0)
    d = gram_sums(kernel, stride, dilation, groups).sum(-1)
    return scale_channels(kernel, torch.where(d > 0, d, 1.0).rsqrt(), stride, dilation)


def aol_right_inverse(kernel: Tensor, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1) -> Tensor:
    """Find a kernel that `aol` maps to a positive multiple of the given one.

    With x the Perron vector of M, M x = r x, the kernel with channels scaled by x is mapped to kernel / sqrt(r): to
    the kernel itself if r = 1, as for every kernel that `aol` returns. Channels that share no entry of M have each
    their own r.

    Args:
        kernel: (out, in/groups, kh, kw), float64.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        Kernel of the same shape.
    """
    peak = kernel.abs().amax()
    kernel = kernel / torch.where(peak > 0, peak, 1.0)
    return scale_channels(kernel, perron_vector(gram_sums(kernel, stride, dilation, groups)), stride, dilation)


class _AOLConv(ExplicitWeight):
    """The kernel that both forms share."""

    # Random biases drown the images in a deep network whose layers contract, and nothing is learned.
    bias_starts_at_zero = True
    raw_weight: nn.Parameter
    arguments: ConvArguments

    def _prepare(self, device: Any, dtype: Any) -> None:
        self.raw_weight = near_isometry(self.arguments, self._weight_shape(), device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return aol(raw[0], self.arguments.stride, self.arguments.dilation, self.arguments.groups)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (aol_right_inverse(weight, self.arguments.stride, self.arguments.dilation, self.arguments.groups),)


@register(
    kind="conv2d",
    name="aol",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="k_h^2 k_w^2 / 2 products (c, c') x (c', c), c the fewer of in s_h s_w and out",
)
class AOLConv2d(_AOLConv, ExplicitConv2d):
    """Almost orthogonal convolution: channels divided by the roots of row sums of the Gram kernel.

    K = R diag(d)^(-1/2), d_i = sum over j and lags l of |(R^T R)_ij[l]|; on the output side, with R R^T, if it has
    fewer channels. With a stride, the input side has a channel for each pixel of the stride's window, and only those
    lags count that the stride leaves. By Gershgorin the norm is at most 1, under zero and circular padding, for every
    image and dilation. Starts with zero bias: as the identity if no stride, as many channels out as in and more than
    one tap allow it, else at random, orthogonal where the shapes allow. Need not stay so.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Assigning a weight keeps it up to a factor, and keeps it exactly
    if it is the weight of such a layer.

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

    Raises:
        ValueError: If an argument is not allowed.

    Cost: the Gram kernel per weight update, half of its lags; nothing at inference.
    Paper: Prach and Lampert 2022, arXiv:2208.03160, theorem 2.
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
        self._prepare(device, dtype)


@register(
    kind="conv1d",
    name="aol",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="k^2 / 2 products (c, c') x (c', c), c the fewer of in s and out",
)
class AOLConv1d(_AOLConv, ExplicitConv1d):
    """Almost orthogonal 1-D convolution: `AOLConv2d` of height 1.

    `(N, in, L)` -> `(N, out, L')` as in torch. The norm is at most 1, under zero and circular padding.

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

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `AOLConv2d`.
    Paper: Prach and Lampert 2022, arXiv:2208.03160, theorem 2.
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
        self._prepare(device, dtype)


@register(
    kind="conv_transpose2d",
    name="aol",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="k_h^2 k_w^2 / 2 products (c, c') x (c', c), c the fewer of out s_h s_w and in",
)
class AOLConvTranspose2d(_AOLConv, ExplicitConvTranspose2d):
    """Almost orthogonal transposed convolution: the adjoint of `AOLConv2d` from `out_channels` to `in_channels`.

    `(N, in, h, w)` -> `(N, out, H, W)` as in torch; with circular padding H = s_h h, W = s_w w. The norm is at most 1.

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

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `AOLConv2d`.
    Paper: Prach and Lampert 2022, arXiv:2208.03160, theorem 2.
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
        self._prepare(device, dtype)


@register(kind="linear", name="aol", paper=_PAPER, cost="one Gram matrix of the smaller side")
class AOLLinear(ExplicitLinear):
    """Almost orthogonal dense layer: columns divided by the roots of row sums of the absolute Gram matrix.

    W = R diag(d)^(-1/2), d_i = sum over j of |R^T R|_ij, or the same for rows if there are fewer. By Gershgorin the
    norm is at most 1. Starts orthogonal, with zero bias, and need not stay so.

    `(..., in)` -> `(..., out)`. Assigning a weight keeps it up to a factor.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If a size is not a positive integer.

    Cost: one product (c, c') x (c', c), c the smaller side.
    Paper: Prach and Lampert 2022, arXiv:2208.03160, theorem 1.
    """

    bias_starts_at_zero = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.raw_weight = orthogonal_parameter(out_features, in_features, device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return aol(raw[0][:, :, None, None])[:, :, 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (aol_right_inverse(weight[:, :, None, None])[:, :, 0, 0],)
