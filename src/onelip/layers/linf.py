"""L-infinity layers: rows projected onto the L1 ball, so that no entry grows by more than the largest one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.explicit import ExplicitConv2d, ExplicitLinear
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.near_isometry import near_isometry
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg import Bound
from onelip.linalg.l1_ball import l1_norm_bound, project_onto_l1_ball
from onelip.linalg.operator_norm import operator_norm

_PAPER = "Anil, Lucas and Grosse 2019, arXiv:1811.05381"


class LInfWeight(ExplicitWeight):
    """Base of layers whose rows are in the L1 ball: their start, and the bound in l_inf."""

    bias_starts_at_zero = True
    raw_weight: nn.Parameter

    def _prepare(self, start: Tensor) -> None:
        # Rows of length 1 over the root of their number of entries are in the ball: no entry starts at zero.
        entries = (start != 0).flatten(1).sum(1).amax()
        self.raw_weight = nn.Parameter((start / entries.sqrt()).detach())

    def linf_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        """Prove an upper bound of the Lipschitz constant in l_inf with the weights it would use in eval right now.

        Args:
            input_shape: Shape of one input without the batch axis; the bound holds for all.

        Returns:
            The largest L1 norm of a row, rounded up.
        """
        return l1_norm_bound(self.eval_weight().flatten(1))


class _Projected(LInfWeight):
    """What both forms share: the projection of the rows."""

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return project_onto_l1_ball(raw[0].flatten(1)).reshape(raw[0].shape)

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return (self.constrain(*raw),)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (self.constrain(weight),)


@register(
    kind="conv2d",
    name="l-infinity",
    paddings=("zeros", "circular"),
    norm="linf",
    paper=_PAPER,
    cost="one sort per output channel",
)
class LInfConv2d(_Projected, ExplicitConv2d):
    """Convolution that is 1-Lipschitz in the maximum norm: the kernel of each output channel is in the L1 ball.

    K_o = the point of sum over i and a of |K_oia| <= 1 nearest to the raw kernel R_o; those in the ball are left alone
    to the bit. Every output pixel is a sum of inputs with these weights, so ||y||_inf <= ||x||_inf for every image,
    stride and dilation, zero and circular padding. In l2 the norm may exceed 1: `lipschitz_bound` proves what it is,
    and `linf_bound` the norm in l_inf.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts with zero bias: as the identity if no stride, as many
    channels out as in and more than one tap allow it, else at random inside the ball.

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

    Cost: one sort per output channel and weight update; nothing at inference.
    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381; Duchi et al. 2008.
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
    name="l-infinity",
    norm="linf",
    paper=_PAPER,
    cost="one sort per row",
)
class LInfLinear(_Projected, ExplicitLinear):
    """Dense layer that is 1-Lipschitz in the maximum norm: every row is in the L1 ball.

    w_i = the row with sum over j of |w_ij| <= 1 nearest to the raw row; rows in the ball are left alone to the bit.
    Then ||W x||_inf <= ||x||_inf. In l2 the norm may exceed 1: `lipschitz_bound` proves what it is, and `linf_bound`
    the norm in l_inf.

    `(..., in)` -> `(..., out)`. Starts with orthogonal rows of norm 1 / sqrt(in), in the ball, and zero bias.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: one sort per row and weight update; nothing at inference.
    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381; Duchi et al. 2008.
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
