"""SLL, the SDP-based Lipschitz layer: one gradient step with a length for each inner channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.gradient_residual import GradientResidualConv2d, GradientResidualLinear
from onelip.layers.registry import register
from onelip.linalg import autocorrelation

_PAPER = "Araujo, Havens, Delattre, Allauzen and Hu 2023, arXiv:2303.03169, theorem 3"

_LOG_RANGE = 40.0
"""Weights q below exp(-40) of the largest are raised to that: their quotients stay finite in float32."""

_NEGLIGIBLE = 1e-30
"""Squared length below which an inner channel is left alone instead of lengthened; the largest entry is 1."""

_PERRON_STEPS = 200


def divide_by_row_sums(kernel: Tensor, log_q: Tensor, groups: int) -> Tensor:
    """Divide each inner channel of a kernel by sqrt(T_i), which makes the convolution 1-Lipschitz.

        T_i = sum over j and lags l of |A_l|_ij q_j / q_i,   A the kernel of W0 W0^T, q = exp(log_q)

    W0 W0^T <= T in the order of symmetric matrices, by diagonal dominance with weights q, so T^-1/2 W0 has norm at most
    1, for every image size, zero or circular padding and every dilation.

    Args:
        kernel: (inner, in/groups, kh, kw), floating point of any scale.
        log_q: (inner,).
        groups: Number of groups.

    Returns:
        The kernel, same shape; channels that are zero stay zero.
    """
    largest = kernel.detach().abs().amax()
    kernel = kernel / torch.where(largest > 0, largest, 1)
    lags = autocorrelation(kernel, groups=groups, side="out")
    sums = lags.abs().sum((-2, -1)).unflatten(0, (groups, -1))
    centred = (log_q - log_q.amax()).clamp_min(-_LOG_RANGE).reshape(groups, -1)
    q = centred.exp()
    # Not as a product by torch.matmul, whose last bit depends on whether gradients are recorded.
    t = (sums * q[:, None]).sum(-1).flatten() / q.flatten()
    # An inner channel too short for its T to be accurate is not lengthened: any larger T is allowed.
    t = torch.where(t > _NEGLIGIBLE, t, 1)
    return kernel * t.rsqrt()[:, None, None, None]


def balanced_log_weights(kernel: Tensor, groups: int) -> Tensor:
    """Find the log_q that gives all inner channels of a group the same T_i, so that the kernel keeps its direction.

    q is the Perron vector of sum over lags of |A_l|; then T_i is its Perron root, and 1 for every i if the kernel came
    out of `divide_by_row_sums`.

    Args:
        kernel: (inner, in/groups, kh, kw).
        groups: Number of groups.

    Returns:
        (inner,).
    """
    lags = autocorrelation(kernel / kernel.abs().amax().clamp_min(1e-300), groups=groups, side="out")
    sums = lags.abs().sum((-2, -1)).unflatten(0, (groups, -1))
    q = torch.ones_like(sums[..., :1])
    for _ in range(_PERRON_STEPS):
        image = sums @ q
        # Half of the old vector stops oscillation; the floor keeps every weight positive.
        q = q + image / image.amax(1, keepdim=True).clamp_min(1e-300)
        q = (q / q.amax(1, keepdim=True)).clamp_min(1e-12)
    return q.log().flatten()


@register(
    kind="conv2d",
    name="sll",
    paddings=("zeros", "circular"),
    square=True,
    strides=False,
    paper=_PAPER,
    cost="k^4 c^3",
)
class SLLConv2d(GradientResidualConv2d):
    """y = x - 2 W^T relu(W x + b) with W = T^-1/2 W0 and T the weighted row sums of |W0 W0^T| (`divide_by_row_sums`).

    1-Lipschitz for zero and circular padding at every image size; not orthogonal. The weights q = exp(log_q) of the row
    sums are learned with the kernel. The ReLU is part of the layer.

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

    Raises:
        ValueError: If an argument is not allowed.
    """

    raw_names = ("raw_weight", "log_q")

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
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        self.log_q = nn.Parameter(torch.zeros(self.inner_channels, device=device, dtype=dtype))
        nn.init.xavier_normal_(self.raw_weight)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return divide_by_row_sums(raw[0], raw[1], self.groups)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return weight, balanced_log_weights(weight, self.groups)


@register(kind="linear", name="sll", square=True, paper=_PAPER, cost="n^3")
class SLLLinear(GradientResidualLinear):
    """y = x - 2 W^T relu(W x + b) with W = T^-1/2 W0 and T the weighted row sums of |W0 W0^T| (`divide_by_row_sums`).

    1-Lipschitz; not orthogonal. The ReLU is part of the layer.

    Shape: `(..., features)` to the same.

    Args:
        in_features: Size of the input.
        out_features: Size of the output; the same number.
        bias: Add a learned bias inside the ReLU?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_features: Size between W and W^T; None for that of the input.

    Raises:
        ValueError: If an argument is not allowed.
    """

    raw_names = ("raw_weight", "log_q")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        inner_features: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype, inner_features=inner_features)
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        self.log_q = nn.Parameter(torch.zeros(self.inner_features, device=device, dtype=dtype))
        nn.init.xavier_normal_(self.raw_weight)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return divide_by_row_sums(raw[0][..., None, None], raw[1], 1)[..., 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return weight, balanced_log_weights(weight[..., None, None], 1)
