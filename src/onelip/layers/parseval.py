"""Parseval networks: an ordinary weight, moved towards a tight frame by a step after each update when asked to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitConv2d, ExplicitLinear
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.near_isometry import near_isometry
from onelip.layers.projection import orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg import full_precision
from onelip.linalg.operator_norm import limit_norm

_PAPER = "Cisse, Bojanowski, Grave, Dauphin and Usunier 2017, arXiv:1704.08847"


def parseval_step(matrices: Tensor, beta: float = 0.5) -> Tensor:
    """Take one step W <- (1 + beta) W - beta W W^T W towards a matrix with orthonormal rows, or columns if tall.

    Each singular value s becomes s (1 + beta - beta s^2), nearer to 1 and not beyond it for 0 < s <= 1 and beta <= 1/2.

    Args:
        matrices: (..., m, n) of norm at most 1.
        beta: Length of the step, above 0 and at most 1/2.

    Returns:
        Matrices of the same shape and norm at most 1.

    Cost: two products with the smaller side's Gram matrix.
    """
    if matrices.shape[-2] <= matrices.shape[-1]:
        return (1 + beta) * matrices - beta * ((matrices @ matrices.mT) @ matrices)
    return (1 + beta) * matrices - beta * (matrices @ (matrices.mT @ matrices))


class _Parseval(ExplicitWeight):
    """The step that both forms share."""

    bias_starts_at_zero = True
    projection_period = 1
    raw_weight: nn.Parameter

    def _groups(self) -> int:
        return 1

    @override
    def project_(self, *, beta: float = 0.5, steps: int = 1) -> int:
        """Divide the raw weight, as a matrix, by its norm where that exceeds 1, then step towards a tight frame.

        Args:
            beta: Length of a step, above 0 and at most 1/2, beyond which singular values overshoot 1. The paper takes
                small ones, at most 0.001; 1/2 is a whole step of Bjorck's iteration.
            steps: Number of steps, a positive integer.

        Returns:
            The number of steps.

        Raises:
            ValueError: If an argument is not allowed.
        """
        owner = f"{type(self).__name__}.project_"
        positive_int(owner, "steps", steps)
        if not 0 < beta <= 0.5:
            raise ValueError(f"beta={beta!r} in {owner} must be above 0 and at most 0.5")
        with torch.no_grad(), full_precision():
            flat = self.raw_weight.double().flatten(1)[:, :, None, None]
            groups = self._groups()
            matrices = limit_norm(flat, groups=groups, n_iter=6)[:, :, 0, 0].unflatten(0, (groups, -1))
            for _ in range(steps):
                matrices = parseval_step(matrices, beta)
            self.raw_weight.copy_(matrices.reshape(self.raw_weight.shape))
        return steps

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)


@register(
    kind="conv2d",
    name="parseval",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="the norm, as for ossn; a step of project_ takes two products of the reshaped kernel",
)
class ParsevalConv2d(_Parseval, ExplicitConv2d):
    """Convolution with an ordinary kernel that `project_` moves towards orthonormal rows.

    K = R / max(1, ||R||), group by group, with ||R|| a bound of the norm of the convolution for every image size, zero
    and circular padding (`operator_norm`), where the paper divides by sqrt(k_h k_w), which is never less. `project_`,
    called after each optimiser step, takes W <- (1 + beta) W - beta W W^T W on the kernel as a matrix
    (out, in k_h k_w), whose rows become a Parseval frame. Without the division, as published, the norm is only near 1
    between steps.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts as the identity where no stride, equal channels
    and more than one tap allow it, else at random, with zero bias. Assigning a weight of norm 1 or less keeps it.

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

    Cost: as `OSSNConv2d`; a step takes two products with the smaller Gram matrix.
    Paper: Cisse, Bojanowski, Grave, Dauphin and Usunier 2017, arXiv:1704.08847, section 4.
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
        self.raw_weight = near_isometry(self.arguments, self._weight_shape(), device=device, dtype=dtype)

    @override
    def _groups(self) -> int:
        return self.arguments.groups

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        a = self.arguments
        return limit_norm(raw[0], stride=a.stride, dilation=a.dilation, groups=a.groups)


@register(
    kind="linear",
    name="parseval",
    paper=_PAPER,
    cost="the norm, as for ossn; a step of project_ takes two products",
)
class ParsevalLinear(_Parseval, ExplicitLinear):
    """Dense layer with an ordinary weight that `project_` moves towards orthonormal rows, or columns if it is tall.

    W = R / max(1, ||R||); `project_`, called after each optimiser step, takes R <- (1 + beta) R - beta R R^T R.

    `(..., in)` -> `(..., out)`. Starts orthogonal, with zero bias. Assigning a weight of norm 1 or less keeps it.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `OSSNLinear`; a step takes two products with the smaller Gram matrix.
    Paper: Cisse, Bojanowski, Grave, Dauphin and Usunier 2017, arXiv:1704.08847, section 4.
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
        self.raw_weight = orthogonal_parameter(out_features, in_features, device=device, dtype=dtype)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return limit_norm(raw[0][:, :, None, None], n_iter=6)[:, :, 0, 0]
