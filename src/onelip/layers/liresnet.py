"""LiResNet: the linear residual block, identity and convolution in one kernel, divided by its norm."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitConv2d, ExplicitLinear
from onelip.layers.gradient_residual import check_same
from onelip.layers.near_identity import near_identity, near_identity_inverse, near_identity_parameters
from onelip.layers.registry import register
from onelip.linalg.operator_norm import divide_groups, operator_norm

_PAPER = "Hu, Zou, Wang, Leino and Fredrikson 2023, arXiv:2301.12549"


def residual_kernel(weight: Tensor, gamma: Tensor, depth: int, groups: int = 1, n_iter: int = 4) -> Tensor:
    """Build (I + depth^-1/2 diag(gamma) W) over a bound of its norm, group by group.

    Args:
        weight: (channels, channels/groups, kh, kw).
        gamma: (channels,).
        depth: Number of such blocks in the network.
        groups: Number of groups.
        n_iter: Squarings in the bound of the norm (`operator_norm`).

    Returns:
        Kernel of the same shape.
    """
    kernel = near_identity(weight, gamma, depth=depth, groups=groups)
    return divide_groups(kernel, operator_norm(kernel, groups=groups, n_iter=n_iter))


@register(
    kind="conv2d",
    name="liresnet",
    paddings=("zeros", "circular"),
    square=True,
    strides=False,
    paper=_PAPER,
    cost="the norm, as for ossn",
)
class LiResNetConv2d(ExplicitConv2d):
    """Linear residual block as one convolution: K = (I + depth^-1/2 diag(gamma) W) / ||I + depth^-1/2 diag(gamma) W||.

    The norm is a bound of that of the convolution, per group, for every image size, zero and circular padding
    (`operator_norm`). The paper leaves the kernel as it is and divides the margins by the product of the blocks' norms,
    as estimated by power iteration: dividing each block by its own norm gives the same certificates, with a bound that
    is proved, and a layer that is 1-Lipschitz. The identity is on the middle tap; of an even kernel, on the left and
    upper of the middle ones, which is the pixel itself with padding "same" and no dilation.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts as published, near the identity: W normal of deviation
    1 / (in k_h k_w), gamma = 1, zero bias. Assigning a weight keeps it up to a factor.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; the same number.
        kernel_size: An int or (height, width).
        stride: 1.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        depth: Number of such blocks in the network: each adds depth^-1/2 of its convolution.
        n_iter: Squarings in the bound of the norm; more make it tighter.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `OSSNConv2d`.
    Paper: Hu, Zou, Wang, Leino and Fredrikson 2023, arXiv:2301.12549.
    """

    raw_names: ClassVar[tuple[str, ...]] = ("raw_weight", "gamma")
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
        depth: int = 1,
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
        owner = type(self).__name__
        check_same(owner, "channels", in_channels, out_channels)
        if self.stride != (1, 1):
            raise ValueError(f"stride={stride!r} in {owner} must be 1, since the input is added to the output")
        self.depth = positive_int(owner, "depth", depth)
        self.n_iter = positive_int(owner, "n_iter", n_iter)
        fan = in_channels // groups * self.kernel_size[0] * self.kernel_size[1]
        self.raw_weight, self.gamma = near_identity_parameters(
            *self._weight_shape(), fan=fan, device=device, dtype=dtype
        )

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return residual_kernel(raw[0], raw[1], self.depth, self.groups, self.n_iter)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return near_identity_inverse(weight, self.depth, self.groups)

    @override
    def options(self) -> dict[str, Any]:
        return {"depth": self.depth, "n_iter": self.n_iter}


@register(
    kind="linear",
    name="liresnet",
    square=True,
    paper=_PAPER,
    cost="4 n_iter products (c, c) x (c, c)",
)
class LiResNetLinear(ExplicitLinear):
    """Linear residual block as one matrix: (I + depth^-1/2 diag(gamma) W) / ||I + depth^-1/2 diag(gamma) W||.

    Dense form of `LiResNetConv2d`, without the orthogonalisation that the paper puts on its dense blocks.

    `(..., in)` -> `(..., in)`. Starts as published, near the identity: W normal of deviation 1 / in, gamma = 1, zero
    bias. Assigning a weight keeps it up to a factor.

    Args:
        in_features: Size of the input.
        out_features: Size of the output; the same number.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        depth: Number of such blocks in the network: each adds depth^-1/2 of its convolution.
        n_iter: Squarings in the bound of the norm; more make it tighter.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: as `OSSNLinear`.
    Paper: Hu, Zou, Wang, Leino and Fredrikson 2023, arXiv:2301.12549.
    """

    raw_names: ClassVar[tuple[str, ...]] = ("raw_weight", "gamma")
    bias_starts_at_zero = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        depth: int = 1,
        n_iter: int = 6,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        owner = type(self).__name__
        check_same(owner, "features", in_features, out_features)
        self.depth = positive_int(owner, "depth", depth)
        self.n_iter = positive_int(owner, "n_iter", n_iter)
        self.raw_weight, self.gamma = near_identity_parameters(
            *self._weight_shape(), fan=in_features, device=device, dtype=dtype
        )

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return residual_kernel(raw[0][:, :, None, None], raw[1], self.depth, n_iter=self.n_iter)[:, :, 0, 0]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return near_identity_inverse(weight, self.depth)

    @override
    def options(self) -> dict[str, Any]:
        return {"depth": self.depth, "n_iter": self.n_iter}
