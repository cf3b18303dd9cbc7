"""Spectral normalisation: weights divided by their norm, for convolutions that of the convolution itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitConv2d, ExplicitLinear
from onelip.layers.near_isometry import near_isometry
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg.operator_norm import divide_groups, operator_norm

_PAPER = "Miyato, Kataoka, Koyama and Yoshida 2018, arXiv:1802.05957"


@register(
    kind="conv2d",
    name="spectral-norm",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="two Gram kernels and 4 n_iter products (c, c) x (c, c) at each of some 32 frequencies",
)
class SpectralNormConv2d(ExplicitConv2d):
    """Convolution divided by its norm: K = R / ||R||, group by group; a zero kernel stays zero.

    ||R|| is a bound of the norm of the convolution itself, with its stride and dilation, for every image size, zero and
    circular padding (`operator_norm`). `torch.nn.utils.spectral_norm` divides by an estimate of the norm of the kernel
    reshaped to a matrix, which leaves a norm of up to sqrt(k_h k_w), and keeps a vector that eval does not renew.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts as the identity where no stride, equal channels
    and more than one tap allow it, else at random, with zero bias. Assigning a weight keeps it up to a factor.

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
        n_iter: Squarings in the bound of the norm; more make it tighter.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: per weight update two Gram kernels, k^4 c^3 operations, and 4 n_iter F c^3 for F frequencies, about 32 at
    k = 3; nothing at inference.
    Paper: Miyato, Kataoka, Koyama and Yoshida 2018, arXiv:1802.05957.
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
        *,
        n_iter: int = 4,
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
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = near_isometry(self.arguments, self._weight_shape(), device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        a = self.arguments
        norm = operator_norm(raw[0], stride=a.stride, dilation=a.dilation, groups=a.groups, n_iter=self.n_iter)
        return divide_groups(raw[0], norm)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}


@register(
    kind="linear",
    name="spectral-norm",
    paper=_PAPER,
    cost="4 n_iter products (c, c) x (c, c), c the smaller side",
)
class SpectralNormLinear(ExplicitLinear):
    """Dense layer divided by its norm: W = R / ||R||; a zero weight stays zero.

    ||R|| is bounded from above by Gram iteration, without state: at most c^(1 / 4p) above the norm, p = 2^n_iter and c
    the smaller side, and exact for orthogonal weights.

    `(..., in)` -> `(..., out)`. Starts orthogonal, with zero bias. Assigning a weight keeps it up to a factor.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        n_iter: Squarings in the bound of the norm; more make it tighter.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: 4 n_iter products of the smaller side per weight update; nothing at inference.
    Paper: Miyato, Kataoka, Koyama and Yoshida 2018, arXiv:1802.05957.
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
        n_iter: int = 6,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = orthogonal_parameter(out_features, in_features, device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        kernel = raw[0][:, :, None, None]
        return divide_groups(kernel, operator_norm(kernel, n_iter=self.n_iter))[:, :, 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}
