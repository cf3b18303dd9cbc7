"""OSSN, one-sided spectral normalisation: weights longer than 1 are divided by their norm, others are left alone."""

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
from onelip.linalg.operator_norm import limit_norm

_PAPER = "Gouk, Frank, Pfahringer and Cree 2021, arXiv:1804.04368; Li et al. 2019, arXiv:1911.00937"


def checked_coeff(owner: str, coeff: float) -> float:
    """Check the norm that is allowed.

    Args:
        owner: Class that the user called.
        coeff: What was given.

    Returns:
        The number.

    Raises:
        ValueError: If it is not above 0 and at most 1.
    """
    if not isinstance(coeff, (int, float)) or isinstance(coeff, bool) or not 0 < coeff <= 1:
        raise ValueError(f"coeff={coeff!r} in {owner} must be a number above 0 and at most 1, the norm that is allowed")
    return float(coeff)


@register(
    kind="conv2d",
    name="ossn",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="two Gram kernels and 4 n_iter products (c, c) x (c, c) at each of some 32 frequencies",
)
class OSSNConv2d(ExplicitConv2d):
    """Convolution of norm at most `coeff`: K = R / max(1, ||R|| / coeff), group by group.

    ||R|| is a bound of the norm of the convolution itself, with its stride and dilation, for every image size, zero and
    circular padding (`operator_norm`): not the norm of the reshaped kernel, and no power iteration. The published one
    has state, and with it two failures, both measured: its vector, once constant over the image, stays so, and a kernel
    that then stretches another frequency keeps a norm of 11 for good; and eval uses the factor of before the last
    step, so a weight times 3 has a norm of 3. Here the same function of R is used always.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts as the identity where no stride, equal channels
    and more than one tap allow it, else at random, with zero bias. Assigning a weight of that norm or less keeps it.

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
        coeff: Norm allowed, above 0 and at most 1.
        n_iter: Squarings in the bound of the norm; more make it tighter.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: per weight update two Gram kernels, k^4 c^3 operations, and 4 n_iter F c^3 for F frequencies, about 32 at
    k = 3; nothing at inference.
    Paper: Gouk, Frank, Pfahringer and Cree 2021, arXiv:1804.04368; Li et al. 2019, arXiv:1911.00937.
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
        coeff: float = 1.0,
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
        self.coeff = checked_coeff(type(self).__name__, coeff)
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = near_isometry(self.arguments, self._weight_shape(), device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        a = self.arguments
        return limit_norm(raw[0], self.coeff, stride=a.stride, dilation=a.dilation, groups=a.groups, n_iter=self.n_iter)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"coeff": self.coeff, "n_iter": self.n_iter}


@register(
    kind="linear",
    name="ossn",
    paper=_PAPER,
    cost="4 n_iter products (c, c) x (c, c), c the smaller side",
)
class OSSNLinear(ExplicitLinear):
    """Dense layer of norm at most `coeff`: W = R / max(1, ||R|| / coeff).

    ||R|| is bounded from above by Gram iteration, without state, where the published form iterates a stored vector.

    `(..., in)` -> `(..., out)`. Starts orthogonal, with zero bias. Assigning a weight of that norm or less keeps it.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        coeff: Norm allowed, above 0 and at most 1.
        n_iter: Squarings in the bound of the norm; more make it tighter.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: 4 n_iter products of the smaller side per weight update; nothing at inference.
    Paper: Gouk, Frank, Pfahringer and Cree 2021, arXiv:1804.04368; Li et al. 2019, arXiv:1911.00937.
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
        coeff: float = 1.0,
        n_iter: int = 6,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.coeff = checked_coeff(type(self).__name__, coeff)
        self.n_iter = positive_int(type(self).__name__, "n_iter", n_iter)
        self.raw_weight = orthogonal_parameter(out_features, in_features, device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return limit_norm(raw[0][:, :, None, None], self.coeff, n_iter=self.n_iter)[:, :, 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"coeff": self.coeff, "n_iter": self.n_iter}
