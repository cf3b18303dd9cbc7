"""BCOP: block convolution orthogonal parametrisation, for stride 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from typing_extensions import override

from onelip.layers.block_kernel import BlockKernel, Rank, block_plan
from onelip.layers.explicit import ExplicitConv2d
from onelip.layers.projection import Projection
from onelip.layers.registry import register
from onelip.linalg.block_convolution import HEIGHT, WIDTH, factor_axes


@register(
    kind="conv2d",
    name="bcop",
    orthogonal=True,
    paddings=("zeros", "circular"),
    strides=False,
    paper="Li et al. 2019, arXiv:1911.00937",
    cost="one orthogonalisation of a matrix and one of k_h + k_w - 2 frames, and their composition",
)
class BCOPConv2d(BlockKernel, ExplicitConv2d):
    """Orthogonal convolution of stride 1: a semi-orthogonal matrix and k_h + k_w - 2 projectors.

    K = [P_1, I - P_1] * ... * [P_n, I - P_n] * H, or in reverse if out < in: H (out, in) is semi-orthogonal; each
    P = V V^T has rank max(in, out) // 2 and makes a factor of two taps, vertical and horizontal ones in turn.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Every singular value is 1 under circular padding by d (k - 1) in
    all; with zeros the norm is at most 1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: 1; see `AOCConv2d` for others.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        orthogonaliser: Projection that makes H and the V orthogonal: "bjorck", "cholesky", "newton-schulz",
            "polar-express" or "qr".
        rank: Rank of the projectors: "half", "free" (learned, orthogonal in every state) or "doubled" (half of twice
            the channels, the remedy of the paper; orthogonal only where learned so), as in `AOCConv2d`.
        square: Store matrices of max(in, out) rows and columns, of which H and the V are the first ones, as published?
            The kernels are the same, with 2 (k - 1) + 1 square matrices of parameters.
        frozen: Keep the random orthogonal kernel of the start, as in the ablation of the paper? The bias still learns.
        width_first: Is the factor next to H a horizontal one, as in the authors' code? Mirrored at the diagonal, the
            kernels are the same.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: the orthogonalisations, then 4 m^2 min(in, out) k_h k_w operations for each factor at most, m = max(in, out);
    nothing at inference.
    Paper: Li, Haque, Anil, Lucas, Grosse and Jacobsen 2019, arXiv:1911.00937, section 4 and appendix D.
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
        orthogonaliser: Projection = "polar-express",
        rank: Rank = "half",
        square: bool = False,
        frozen: bool = False,
        width_first: bool = False,
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
        if self.stride != (1, 1):
            raise ValueError(
                f"stride={stride!r} in {owner} must be 1, as block convolution composes kernels of stride 1; "
                f"AOCConv2d puts one of the stride behind it"
            )
        for name, value in (("square", square), ("frozen", frozen), ("width_first", width_first)):
            if not isinstance(value, bool):
                raise ValueError(f"{name}={value!r} in {owner} must be True or False")
        plan = block_plan(self.arguments, ranks=rank)
        if width_first:
            mirrored = factor_axes(plan.axes.count(WIDTH), plan.axes.count(HEIGHT))
            plan = replace(plan, axes=tuple(HEIGHT if axis == WIDTH else WIDTH for axis in mirrored))
        self._compose(plan, rank, orthogonaliser, device, dtype, square=square)
        self.square, self.frozen, self.width_first = square, frozen, width_first
        for raw in self.raw:
            raw.requires_grad_(not frozen)

    @override
    def options(self) -> dict[str, Any]:
        own = {"square": self.square, "frozen": self.frozen, "width_first": self.width_first}
        return {**super().options(), **own}
