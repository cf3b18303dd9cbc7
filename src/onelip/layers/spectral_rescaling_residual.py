"""Gradient-step residuals whose inner channels are divided by the scales of spectral rescaling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.gradient_residual import GradientResidualConv2d, GradientResidualLinear
from onelip.layers.registry import register
from onelip.linalg.gram_powers import balancing_factors, gram_power_scales
from onelip.linalg.operator_norm import divide_groups

_PAPER = "Delattre, Barthelemy and Allauzen 2024, arXiv:2402.00240; Araujo et al. 2023, arXiv:2303.03169"


def divide_inner_channels(kernel: Tensor, groups: int, n_iter: int) -> Tensor:
    """Divide the output channels of a kernel by t_i, which makes the convolution 1-Lipschitz in l2.

    t_i = (sum over j and lags of |(W0 W0^T)^p|_ij)^(1 / 2p), p = 2^(n_iter - 1) (`gram_power_scales`).

    Args:
        kernel: (inner, in/groups, kh, kw), floating point of any scale.
        groups: Number of groups.
        n_iter: At least 1; each step beyond squares the Gram kernel.

    Returns:
        The kernel, same shape; channels that are zero stay zero.
    """
    kernel = divide_groups(kernel, kernel.detach().unflatten(0, (groups, -1)).abs().amax((1, 2, 3, 4)))
    t = gram_power_scales(kernel, side="out", n_iter=n_iter, groups=groups)
    return kernel / t.reshape(-1, 1, 1, 1)


def balanced_inner_channels(kernel: Tensor, groups: int, n_iter: int) -> Tensor:
    """Find a kernel that `divide_inner_channels` maps to a positive multiple of the given one.

    It is mapped to the kernel itself if that came out of `divide_inner_channels`.

    Args:
        kernel: (inner, in/groups, kh, kw), float64.
        groups: Number of groups.
        n_iter: At least 1; each step beyond squares the Gram kernel.

    Returns:
        The kernel, same shape.
    """
    kernel = divide_groups(kernel, kernel.unflatten(0, (groups, -1)).abs().amax((1, 2, 3, 4)))

    def scales(x: Tensor) -> Tensor:
        scaled = kernel * x.reshape(-1, 1, 1, 1)
        return gram_power_scales(scaled, side="out", n_iter=n_iter, groups=groups)

    start = torch.ones_like(kernel[:, 0, 0, 0]).unflatten(0, (groups, -1))
    return kernel * balancing_factors(scales, start).reshape(-1, 1, 1, 1)


@register(
    kind="conv2d",
    name="rescaled-residual",
    paddings=("zeros", "circular"),
    square=True,
    strides=False,
    paper=_PAPER,
    cost="the Gram kernel and n_iter - 1 products (c, c) x (c, c) at each of 2^(2 n_iter - 1) (k - 1)^2 frequencies",
)
class SpectralRescalingResidualConv2d(GradientResidualConv2d):
    """y = x - 2 W^T relu(W x + b) with W = diag(t)^-1 W0, t the scales of spectral rescaling.

    t_i = (sum over j and lags of |(W0 W0^T)^p|_ij)^(1 / 2p), p = 2^(n_iter - 1). With n_iter = 1 it is
    SLL with all q = 1; as n_iter grows, the norm of W nears 1. 1-Lipschitz for zero and circular padding at every image
    size; not orthogonal. The ReLU is part of the layer.

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
        inner_channels: Channels between W and W^T; None for as many as in the input.
        n_iter: At least 1; each step beyond squares the Gram kernel.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `SpectralRescalingConv2d`, for the inner channels.
    Paper: Delattre, Barthelemy and Allauzen 2024, arXiv:2402.00240; Araujo et al. 2023, arXiv:2303.03169.
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
        inner_channels: int | None = None,
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
            inner_channels=inner_channels,
        )
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.xavier_normal_(self.raw_weight)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return divide_inner_channels(raw[0], self.groups, self.n_iter)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (balanced_inner_channels(weight, self.groups, self.n_iter),)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}


@register(
    kind="linear",
    name="rescaled-residual",
    square=True,
    paper=_PAPER,
    cost="n_iter products (c, c) x (c, c), c the inner features",
)
class SpectralRescalingResidualLinear(GradientResidualLinear):
    """y = x - 2 W^T relu(W x + b) with W = diag(t)^-1 W0, t the scales of spectral rescaling.

    t_i = (sum over j of |(W0 W0^T)^p|_ij)^(1 / 2p), p = 2^(n_iter - 1). 1-Lipschitz; not orthogonal. The ReLU is part
    of the layer.

    Shape: `(..., features)` to the same.

    Args:
        in_features: Size of the input.
        out_features: Size of the output; the same number.
        bias: Add a learned bias inside the ReLU?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_features: Size between W and W^T; None for that of the input.
        n_iter: At least 1; each step beyond squares the Gram matrix.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: n_iter products of the inner features per weight update.
    Paper: Delattre, Barthelemy and Allauzen 2024, arXiv:2402.00240; Araujo et al. 2023, arXiv:2303.03169.
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
        n_iter: int = 3,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype, inner_features=inner_features)
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.xavier_normal_(self.raw_weight)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return divide_inner_channels(raw[0][..., None, None], 1, self.n_iter)[..., 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (balanced_inner_channels(weight[..., None, None], 1, self.n_iter)[..., 0, 0],)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}
