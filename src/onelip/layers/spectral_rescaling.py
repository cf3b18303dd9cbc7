"""Spectral rescaling, or multi-step AOL: channels divided by roots of row sums of a power of the Gram kernel."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import ConvArguments, Pair, positive_int
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d, ExplicitLinear
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.near_isometry import near_isometry
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg.gram_powers import balancing_factors, gram_power_scales
from onelip.linalg.gram_sums import outputs_are_fewer, scale_channels
from onelip.linalg.operator_norm import divide_groups

_PAPER = "Delattre, Barthelemy and Allauzen 2024, arXiv:2402.00240"


def spectral_rescaling(
    kernel: Tensor, n_iter: int, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1
) -> Tensor:
    """Rescale a convolution kernel so that it is 1-Lipschitz in l2.

    Channel i is divided by t_i = (sum over j and lags of |A^p|_ij)^(1 / 2p), p = 2^(n_iter - 1), A the Gram kernel on
    the input or output side, whichever has fewer channels (`gram_power_scales`). Orthogonal kernels are left alone; the
    result does not depend on the kernel's scale.

    Args:
        kernel: (out, in/groups, kh, kw), floating point; zero channels stay zero.
        n_iter: At least 1; each step beyond squares the Gram kernel.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        Kernel of the same shape.
    """
    kernel = _of_size_one(kernel, groups)
    t = gram_power_scales(
        kernel, side=_side(kernel, stride, groups), n_iter=n_iter, stride=stride, dilation=dilation, groups=groups
    )
    return scale_channels(kernel, 1 / t, stride, dilation)


def spectral_rescaling_right_inverse(
    kernel: Tensor, n_iter: int, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1
) -> Tensor:
    """Find a kernel that `spectral_rescaling` maps to a positive multiple of the given one.

    It is mapped to the kernel itself if that came out of `spectral_rescaling` (`balancing_factors`).

    Args:
        kernel: (out, in/groups, kh, kw), float64.
        n_iter: At least 1; each step beyond squares the Gram kernel.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        Kernel of the same shape.
    """
    kernel = _of_size_one(kernel, groups)
    side = _side(kernel, stride, groups)

    def scales(x: Tensor) -> Tensor:
        scaled = scale_channels(kernel, x, stride, dilation)
        return gram_power_scales(scaled, side=side, n_iter=n_iter, stride=stride, dilation=dilation, groups=groups)

    start = gram_power_scales(kernel, side=side, n_iter=1, stride=stride, dilation=dilation, groups=groups)
    return scale_channels(kernel, balancing_factors(scales, torch.ones_like(start)), stride, dilation)


def _of_size_one(kernel: Tensor, groups: int) -> Tensor:
    return divide_groups(kernel, kernel.detach().unflatten(0, (groups, -1)).abs().amax((1, 2, 3, 4)))


def _side(kernel: Tensor, stride: Pair, groups: int) -> Literal["in", "out"]:
    return "out" if outputs_are_fewer(kernel, stride, groups) else "in"


class _SpectralRescaling(ExplicitWeight):
    """The kernel that both forms share."""

    bias_starts_at_zero = True
    raw_weight: nn.Parameter
    arguments: ConvArguments

    def _prepare(self, n_iter: int, device: Any, dtype: Any) -> None:
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = near_isometry(self.arguments, self._weight_shape(), device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        a = self.arguments
        return spectral_rescaling(raw[0], self.n_iter, a.stride, a.dilation, a.groups)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        a = self.arguments
        return (spectral_rescaling_right_inverse(weight, self.n_iter, a.stride, a.dilation, a.groups),)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}


@register(
    kind="conv2d",
    name="spectral-rescaling",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="the Gram kernel and n_iter - 1 products (c, c) x (c, c) at each of 2^(2 n_iter - 1) (k - 1)^2 frequencies",
)
class SpectralRescalingConv2d(_SpectralRescaling, ExplicitConv2d):
    """Convolution with channels divided by roots of row sums of the 2^(n_iter - 1)-th power of its Gram kernel.

    K = R diag(t)^-1, t_i = (sum over j and lags of |(R^T R)^p|_ij)^(1 / 2p), p = 2^(n_iter - 1); on the output side,
    with R R^T, if it has fewer channels. With a stride, the input side has a channel for each pixel of the stride's
    window. The norm is at most 1, under zero and circular padding, for every image and dilation; it nears 1 as n_iter
    grows, and n_iter = 1 is AOL.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts with zero bias: as the identity if no stride, as many
    channels out as in and more than one tap allow it, else at random, orthogonal where the shapes allow. Assigning a
    weight keeps it up to a factor, and keeps it exactly if it is the weight of such a layer.

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
        n_iter: 1 is AOL, and each more squares the Gram kernel: the largest singular value of a random 3 x 3 kernel of
            16 channels becomes 0.49, 0.71, 0.87, 0.95 for 1, 2, 3, 4.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: per weight update the Gram kernel, k^4 c^3, and n_iter - 1 complex products of c x c matrices at 45, 180, 684
    frequencies for n_iter 2, 3, 4 at k = 3; nothing at inference.
    Paper: Delattre, Barthelemy and Allauzen 2024, arXiv:2402.00240.
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
        n_iter: int = 3,
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
        self._prepare(n_iter, device, dtype)


@register(
    kind="conv_transpose2d",
    name="spectral-rescaling",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="the Gram kernel and n_iter - 1 products (c, c) x (c, c) at each of 2^(2 n_iter - 1) (k - 1)^2 frequencies",
)
class SpectralRescalingConvTranspose2d(_SpectralRescaling, ExplicitConvTranspose2d):
    """Transposed convolution: the adjoint of `SpectralRescalingConv2d` from `out_channels` to `in_channels`.

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
        n_iter: 1 is AOL, and each more squares the Gram kernel.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `SpectralRescalingConv2d`.
    Paper: Delattre, Barthelemy and Allauzen 2024, arXiv:2402.00240.
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
        n_iter: int = 3,
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
        self._prepare(n_iter, device, dtype)


@register(
    kind="linear",
    name="spectral-rescaling",
    paper=_PAPER,
    cost="n_iter products (c, c) x (c, c), c the smaller side",
)
class SpectralRescalingLinear(ExplicitLinear):
    """Dense layer with columns divided by roots of row sums of a power of the Gram matrix.

    W = R diag(t)^-1, t_i = (sum over j of |(R^T R)^p|_ij)^(1 / 2p), p = 2^(n_iter - 1), or the same for rows if there
    are fewer. The norm is at most 1; n_iter = 1 is AOL.

    `(..., in)` -> `(..., out)`. Starts orthogonal, with zero bias. Assigning a weight keeps it up to a factor.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        n_iter: 1 is AOL, and each more squares the Gram matrix.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: n_iter products of the smaller side per weight update.
    Paper: Delattre, Barthelemy and Allauzen 2024, arXiv:2402.00240.
    """

    bias_starts_at_zero = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        n_iter: int = 3,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = orthogonal_parameter(out_features, in_features, device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return spectral_rescaling(raw[0][:, :, None, None], self.n_iter)[:, :, 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (spectral_rescaling_right_inverse(weight[:, :, None, None], self.n_iter)[:, :, 0, 0],)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}
