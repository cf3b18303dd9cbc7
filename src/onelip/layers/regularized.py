"""A convolution whose norm is not constrained but known, for losses that keep it in check."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitConv2d
from onelip.linalg.operator_norm import operator_norm

_OVERSAMPLING = 32
"""Grid points per degree: with a few channels, as those of images, they cost nothing, and leave 0.3 % of slack."""


class RegularizedConv2d(ExplicitConv2d):
    """An ordinary convolution that tells its norm: the stem of the networks that hold the records.

    Unlike every layer of the registry it may be longer than 1: `lipschitz_bound` proves its norm, and `norm_estimate`
    gives it to the loss, which weighs margins against it. Three channels in and hundreds out leave no room that a
    constraint could make better use of.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts with orthonormal rows, or columns, of the kernel as a
    matrix `(out, in/groups kh kw)`, and the bias like torch's.

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
        n_iter: Squarings in `norm_estimate`; more make it tighter.

    Raises:
        ValueError: If an argument is not allowed.

    Paper: Hu, Zou, Wang, Leino and Fredrikson 2023, arXiv:2301.12549, where a power iteration gives the norm.
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
        n_iter: int = 6,
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
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.orthogonal_(self.raw_weight)

    def norm_estimate(self) -> Tensor:
        """Bound the norm from above in a form that can be trained through (`operator_norm`), in at least float32.

        For every image size and both paddings; within half a per cent of the largest norm over these, as a rule, and
        without the state that a power iteration needs, whose value is a lower one. The proof is `lipschitz_bound`.

        Returns:
            A scalar.

        Cost: on the smaller number of channels, s_h s_w in for a stride s; less than a hundredth of a training step.
        """
        return operator_norm(
            self.weight,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            n_iter=self.n_iter,
            oversampling=_OVERSAMPLING,
        ).amax()

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return raw[0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}
