"""CPL, the convex potential layer: one gradient step whose length is set by a bound of the weight's norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.gradient_residual import GradientResidualConv2d, GradientResidualLinear
from onelip.layers.registry import register
from onelip.linalg.gram_iteration import gram_norm
from onelip.linalg.operator_norm import divide_groups

_PAPER = "Meunier, Delattre, Araujo and Allauzen 2022, arXiv:2110.12690, equation 5"


def divide_by_norm(kernel: Tensor, groups: int, n_iter: int, oversampling: int | None) -> Tensor:
    """Divide the kernel of each group by an upper bound of its norm as a convolution; a zero kernel stays zero.

    The bound is `gram_norm`: deterministic and without state, so training, eval, a loaded copy and another image size
    all use the same function of the raw kernel. The power method of the paper gives a *lower* bound from a stored
    vector: measured on published code, the norm of the layer exceeds 1 after a cold start (step length 4.2 / norm^2
    where at most 2 is allowed, still 2.05 after 10 iterations), at another image size (2.20), and for good where the
    vector has become constant over the image and cannot leave that subspace (norm 11 after 1000 iterations).

    Args:
        kernel: (out, in/groups, kh, kw).
        groups: Number of groups.
        n_iter: Squarings of the Gram matrix.
        oversampling: Frequencies per tap; None for a choice by the number of channels.

    Returns:
        The kernel of norm at most 1, same shape.
    """
    norm = gram_norm(kernel, groups=groups, n_iter=n_iter, oversampling=oversampling)
    return divide_groups(kernel, norm)


@register(
    kind="conv2d",
    name="cpl",
    paddings=("zeros", "circular"),
    square=True,
    strides=False,
    paper=_PAPER,
    cost="(k^4 + 4 n_iter F) c^3, F about 32 frequencies at k = 3",
)
class CPLConv2d(GradientResidualConv2d):
    """y = x - 2 W^T relu(W x + b) with W = W0 / s and s an upper bound of the norm of the convolution W0.

    1-Lipschitz for zero and circular padding at every image size; not orthogonal. The ReLU is part of the layer.

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
        n_iter: Squarings in the bound: 3 leaves it some 2 % above the norm on the grid of frequencies.
        oversampling: Frequencies per tap, at least 2; None for 8 up to 16 channels, 6 up to 32 and 4 beyond, which
            costs at most 4, 7 and 17 % of norm at 3x3.

    Raises:
        ValueError: If an argument is not allowed.
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
        oversampling: int | None = None,
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
        self.n_iter = positive_int("CPLConv2d", "n_iter", n_iter)
        if oversampling is not None and positive_int("CPLConv2d", "oversampling", oversampling) < 2:
            raise ValueError(f"oversampling={oversampling} in CPLConv2d must be at least 2, or None")
        self.oversampling = oversampling
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.xavier_normal_(self.raw_weight)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return divide_by_norm(raw[0], self.groups, self.n_iter, self.oversampling)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter, "oversampling": self.oversampling}


@register(kind="linear", name="cpl", square=True, paper=_PAPER, cost="4 n_iter n^3")
class CPLLinear(GradientResidualLinear):
    """y = x - 2 W^T relu(W x + b) with W = W0 / s and s an upper bound of the norm of the matrix W0.

    1-Lipschitz; not orthogonal. The ReLU is part of the layer.

    Shape: `(..., features)` to the same.

    Args:
        in_features: Size of the input.
        out_features: Size of the output; the same number.
        bias: Add a learned bias inside the ReLU?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_features: Size between W and W^T; None for that of the input.
        n_iter: Squarings in the bound: 3 leaves it some 2 % above the norm.

    Raises:
        ValueError: If an argument is not allowed.
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
        self.n_iter = positive_int("CPLLinear", "n_iter", n_iter)
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.xavier_normal_(self.raw_weight)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return divide_by_norm(raw[0][..., None, None], 1, self.n_iter, None)[..., 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_iter": self.n_iter}
