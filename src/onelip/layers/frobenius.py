"""Frobenius normalisation: weights divided by a Frobenius norm that bounds the norm of the convolution."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.explicit import ExplicitConv2d, ExplicitLinear
from onelip.layers.near_isometry import orthogonal_kernel
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg.gram_sums import gram_sums
from onelip.linalg.operator_norm import divide_groups

Pair = tuple[int, int]
_PAPER = "Serrurier et al. 2021, arXiv:2006.06520 (in its library)"


def frobenius_norm(kernel: Tensor, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1) -> Tensor:
    """Bound the Frobenius norm of the matrix of a convolution at every frequency, group by group.

    ||K(w)||_F^2 = sum over lags l of c_l exp(i l w) <= sum over l of |c_l|, c_l = sum over taps a of <K_a, K_(a+l)>,
    l a multiple of the stride. Equal to ||K||_F for one tap or patches that do not overlap, and never above
    sqrt(m) ||K||_F, m the number of patches that a pixel is in.

    Args:
        kernel: (out, in/groups, kh, kw), floating point of any scale.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        (groups,) upper bounds of the norm of the convolution, for every image size, zero and circular padding.

    Cost: k^4 / 2 inner products of taps.
    """
    peak = kernel.detach().unflatten(0, (groups, -1)).abs().amax((1, 2, 3, 4))
    peak = torch.where(peak > 0, peak, 1)
    # One output whose inputs are all pairs of channels: its Gram kernel is the trace of the kernel's own.
    taps = divide_groups(kernel, peak).reshape(groups, -1, *kernel.shape[-2:])
    squared = gram_sums(taps, stride, dilation, groups).sum((1, 2))
    return torch.where(squared > 0, torch.where(squared > 0, squared, 1).sqrt() * peak, 0)


@register(
    kind="conv2d",
    name="frobenius",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="k^4 / 2 inner products of taps",
)
class FrobeniusConv2d(ExplicitConv2d):
    """Convolution of Frobenius norm at most 1 at every frequency: K = R / max(1, f), group by group.

    f^2 = sum over lags l of |sum over taps a of <R_a, R_(a+l)>|, l a multiple of the stride, bounds ||R(w)||_F^2 at
    every frequency w, and so the norm of the convolution for every image size, dilation, zero and circular padding. It
    is at most k_h k_w ||R||_F^2, by which others divide. Cheap and loose: the identity on c channels becomes
    1 / sqrt(c) of it.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts with the reshaped kernel orthogonal, at
    random, and zero bias. Assigning a weight keeps it if f <= 1, else
    its direction.

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

    Cost: k^4 / 2 inner products of taps per weight update; nothing at inference.
    Paper: Serrurier et al. 2021, arXiv:2006.06520, whose library has this layer.
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
        self.raw_weight = orthogonal_kernel(self.groups, self._weight_shape(), device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        a = self.arguments
        return divide_groups(raw[0], frobenius_norm(raw[0], a.stride, a.dilation, a.groups).clamp_min(1))

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)


@register(
    kind="linear",
    name="frobenius",
    paper=_PAPER,
    cost="one norm",
)
class FrobeniusLinear(ExplicitLinear):
    """Dense layer of Frobenius norm at most 1: W = R / max(1, ||R||_F).

    The Frobenius norm is the root of the sum of squares of all singular values, so the norm is at most 1, and near it
    only for weights of low rank: a good choice where there are one or two outputs.

    `(..., in)` -> `(..., out)`. Starts orthogonal but for the factor, with zero bias. Assigning a weight keeps it if
    ||W||_F <= 1, else its direction.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: one norm per weight update.
    Paper: Serrurier et al. 2021, arXiv:2006.06520, whose library has this layer.
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
        kernel = raw[0][:, :, None, None]
        return divide_groups(kernel, frobenius_norm(kernel).clamp_min(1))[:, :, 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)
