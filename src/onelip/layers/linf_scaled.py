"""Scaled l-infinity layers: rows divided by their L1 norm, which learn better than projected ones."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.explicit import ExplicitConv2d, ExplicitLinear
from onelip.layers.linf import LInfWeight
from onelip.layers.near_isometry import near_isometry
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg.operator_norm import operator_norm

_PAPER = "Anil, Lucas and Grosse 2019, arXiv:1811.05381 (its program's option l_inf_scaled)"


def scale_to_l1_sphere(rows: Tensor) -> Tensor:
    """Divide rows by their L1 norm; zero rows stay zero.

    Args:
        rows: (m, n), floating point of any scale.

    Returns:
        Rows of the same shape, whose absolute values sum to 1 up to rounding, and to no more in this precision.
    """
    # The largest entry first, so that sums do not overflow.
    peak = rows.detach().abs().amax(1, keepdim=True)
    rows = rows / torch.where(peak > 0, peak, 1.0)
    sums = rows.abs().sum(1, keepdim=True)
    scaled = rows / torch.where(sums > 0, sums, 1.0)
    # What rounding leaves above 1 is taken off, as a constant.
    return scaled / scaled.detach().abs().sum(1, keepdim=True).clamp_min(1)


class _Scaled(LInfWeight):
    """What both forms share: the division of the rows."""

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return scale_to_l1_sphere(raw[0].flatten(1)).reshape(raw[0].shape)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)


@register(
    kind="conv2d",
    name="l-infinity-scaled",
    paddings=("zeros", "circular"),
    norm="linf",
    paper=_PAPER,
    cost="one sum per output channel",
)
class LInfScaledConv2d(_Scaled, ExplicitConv2d):
    """Convolution that is 1-Lipschitz in the maximum norm: the kernel of each output channel over its L1 norm.

    K_o = R_o / sum over i and a of |R_oia|. As `LInfConv2d`, but that every entry of a kernel keeps a gradient, where
    the projection sets most of them to zero, and that no kernel is short. In l2 the norm may exceed 1:
    `lipschitz_bound` proves what it is, and `linf_bound` the norm in l_inf.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts with zero bias: as the identity if no stride, as many
    channels out as in and more than one tap allow it, else at random. Assigning a weight keeps it up to a factor for
    each channel.

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

    Cost: one sum per output channel and weight update; nothing at inference.
    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381.
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
        self._prepare(near_isometry(self.arguments, self._weight_shape(), device=device, dtype=dtype))

    def norm_estimate(self) -> Tensor:
        """Bound the norm in l2, which may exceed 1, for training.

        Returns:
            A scalar by Gram iteration, differentiable and not rounded up.
        """
        a = self.arguments
        return operator_norm(self.weight, stride=a.stride, dilation=a.dilation, groups=a.groups).amax()


@register(
    kind="linear",
    name="l-infinity-scaled",
    norm="linf",
    paper=_PAPER,
    cost="one sum per row",
)
class LInfScaledLinear(_Scaled, ExplicitLinear):
    """Dense layer that is 1-Lipschitz in the maximum norm: every row divided by its L1 norm.

    w_i = r_i / sum over j of |r_ij|; zero rows stay zero. As `LInfLinear`, but that every entry keeps a gradient, where
    the projection sets most of them to zero, and that no row is short. In l2 the norm may exceed 1: `lipschitz_bound`
    proves what it is, and `linf_bound` the norm in l_inf.

    `(..., in)` -> `(..., out)`. Starts with orthogonal rows over their L1 norm, and zero bias. Assigning a weight keeps
    it up to a factor for each row.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: one sum per row and weight update; nothing at inference.
    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self._prepare(orthogonal_parameter(out_features, in_features, device=device, dtype=dtype))

    def norm_estimate(self) -> Tensor:
        """Bound the norm in l2, which may exceed 1, for training.

        Returns:
            A scalar by Gram iteration, differentiable and not rounded up.
        """
        return operator_norm(self.weight[:, :, None, None])[0]
