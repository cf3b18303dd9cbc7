"""RK-L2NE: reshaped kernels divided by a cheap bound of their norm, the root of the smaller Gram matrix' row sums."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.explicit import ExplicitConv2d, ExplicitLinear
from onelip.layers.near_isometry import orthogonal_kernel
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.layers.rko import patch_overlap
from onelip.linalg.operator_norm import divide_groups

_PAPER = "Qian and Wegman 2019, arXiv:1802.07896"

_CHUNK = 2**22
"""Entries of a Gram matrix held at once."""


def nonexpansive(kernel: Tensor, groups: int = 1) -> Tensor:
    """Divide the reshaped kernel of each group by a bound of its norm as a matrix; a zero kernel stays zero.

    W / sqrt(min(||W W^T||_inf, ||W^T W||_inf)), W (out, in k_h k_w), ||.||_inf the largest row sum of absolute values,
    which no eigenvalue of a symmetric matrix exceeds. Gram matrices are made in strips, and of each only the row that
    decides is differentiated, so the (in k_h k_w)^2 entries of the larger one are never held together.

    Args:
        kernel: (out, in/groups, kh, kw), floating point of any scale.
        groups: Number of groups.

    Returns:
        Kernel of the same shape.
    """
    peak = kernel.detach().unflatten(0, (groups, -1)).abs().amax((1, 2, 3, 4))
    kernel = divide_groups(kernel, peak)
    matrices = kernel.reshape(groups, kernel.shape[0] // groups, -1)
    squared = torch.minimum(_largest_row_sum(matrices), _largest_row_sum(matrices.mT))
    return divide_groups(kernel, torch.where(squared > 0, squared, 1).sqrt())


def _largest_row_sum(w: Tensor) -> Tensor:
    # (groups, m, n) to (groups,): ||W W^T||_inf.
    with torch.no_grad():
        strips = w.detach().split(max(1, _CHUNK // (w.shape[0] * w.shape[1])), dim=1)
        sums = torch.cat([(strip @ w.detach().mT).abs().sum(-1) for strip in strips], 1)
    row = w.gather(1, sums.argmax(1)[:, None, None].expand(-1, 1, w.shape[2]))
    return (row @ w.mT).abs().sum((1, 2))


@register(
    kind="conv2d",
    name="rk-l2ne",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="two Gram matrices of the kernel as an (out, in k_h k_w) matrix",
)
class NonexpansiveConv2d(ExplicitConv2d):
    """Convolution with the reshaped kernel divided by a bound of its norm and by the root of the patches' overlap.

    K = W / sqrt(m min(||W W^T||_inf, ||W^T W||_inf)), W the kernel as a matrix (out, in k_h k_w), per group, and m the
    number of patches that a pixel is in (`RKOConv2d`). The norm is at most 1 with zeros and with circular padding, for
    every image. Cheap and loose: 0.4 for random 3 x 3 kernels of 32 channels.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts with the reshaped kernel orthogonal, at
    random, and zero bias. Assigning a weight keeps it up to a factor.

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

    Cost: out (in k_h k_w) (out + in k_h k_w) products per weight update; nothing at inference.
    Paper: Qian and Wegman 2019, arXiv:1802.07896; Li et al. 2019, arXiv:1911.00937.
    """

    bias_starts_at_zero = True

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
        self._scale = 1 / math.sqrt(patch_overlap(self.arguments))
        self.raw_weight = orthogonal_kernel(self.groups, self._weight_shape(), device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return nonexpansive(raw[0], self.arguments.groups) * self._scale

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)


@register(
    kind="linear",
    name="rk-l2ne",
    paper=_PAPER,
    cost="two Gram matrices",
)
class NonexpansiveLinear(ExplicitLinear):
    """Dense layer divided by a cheap bound of its norm: W = R / sqrt(min(||R R^T||_inf, ||R^T R||_inf)).

    ||.||_inf is the largest row sum of absolute values. Orthogonal weights are kept; a zero weight stays zero.

    `(..., in)` -> `(..., out)`. Starts orthogonal, with zero bias. Assigning a weight keeps it up to a factor.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: in out (in + out) products per weight update.
    Paper: Qian and Wegman 2019, arXiv:1802.07896.
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
        return nonexpansive(raw[0][:, :, None, None])[:, :, 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)
