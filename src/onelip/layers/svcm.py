"""SVCM, singular value clipping: an ordinary kernel, moved by alternating projections when asked to."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitConv2d
from onelip.layers.near_isometry import near_isometry
from onelip.layers.registry import register
from onelip.linalg import full_precision, polyphase
from onelip.linalg.frequency_clipping import clip_frequencies
from onelip.linalg.operator_norm import limit_norm

Pair = tuple[int, int]
_PAPER = "Sedghi, Gupta and Long 2019, arXiv:1805.10408; Li et al. 2019, arXiv:1911.00937"

_OVERSAMPLING = 8
"""Frequencies per tap: between those of the grid the norm is at most 2 % larger for each axis."""


def clip_singular_values(
    kernel: Tensor,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
    *,
    tol: float = 1e-3,
    max_steps: int = 50,
) -> tuple[Tensor, int]:
    """Project a kernel in turns onto the convolutions of norm at most 1 and onto those of its own size.

    One step clips the singular values of the matrix of every frequency at 1 and sets to zero what that puts outside the
    kernel's taps. Both sets are convex, so the steps approach their intersection. A kernel that is in both is returned
    as it came. A strided convolution is taken as one of stride 1 on the space-to-depth image.

    Args:
        kernel: (out, in/groups, kh, kw), float64.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.
        tol: Largest excess of a singular value over 1, on the grid of frequencies, to stop at.
        max_steps: Steps after which to stop in any case.

    Returns:
        A kernel of the same shape, and the number of steps.

    Cost: per step an FFT and SVDs of (out/groups, in/groups s_h s_w) matrices at 32 (k_h - 1) (k_w - 1) frequencies.
    Paper: Sedghi, Gupta and Long 2019, arXiv:1805.10408; Li et al. 2019, arXiv:1911.00937.
    """
    taps = polyphase(kernel, stride, dilation).shape[-2:]
    size = (max(1, _OVERSAMPLING * (taps[0] - 1)), max(1, _OVERSAMPLING * (taps[1] - 1)))
    steps = 0
    while True:
        clipped, top = clip_frequencies(kernel, size, stride=stride, dilation=dilation, groups=groups)
        if steps == max_steps or top <= 1 + tol:
            return kernel, steps
        kernel = clipped
        steps += 1


@register(
    kind="conv2d",
    name="svcm",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="the norm, as for ossn; a step of project_ takes an SVD at each of 32 (k - 1)^2 frequencies",
)
class SVCMConv2d(ExplicitConv2d):
    """Convolution with an ordinary kernel whose singular values `project_` clips at 1.

    K = R / max(1, ||R||), group by group, with ||R|| a bound of the norm of the convolution for every image size, zero
    and circular padding (`operator_norm`). `project_`, which a training calls every 100 optimiser steps and after the
    last one, moves the raw kernel R by alternating projections to one of norm about 1 that is near by, where division
    by the norm would shrink all singular values alike. Published without the division, such a layer has any norm
    between projections.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts as the identity where no stride, equal channels
    and more than one tap allow it, else at random, with zero bias. Assigning a weight projects it as `project_` does.

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

    Cost: per weight update as `OSSNConv2d`; a projection step costs SVDs of all frequencies' matrices.
    Paper: Sedghi, Gupta and Long 2019, arXiv:1805.10408; Li et al. 2019, arXiv:1911.00937.
    """

    bias_starts_at_zero = True
    # As in the configurations of Li et al.
    projection_period = 100

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
    def project_(self, *, tol: float = 1e-3, max_steps: int = 50) -> int:
        """Move the raw kernel by alternating projections until no singular value on the grid exceeds 1 + tol.

        Args:
            tol: Excess to stop at, at least 0.
            max_steps: Steps after which to stop in any case, a positive integer.

        Returns:
            The number of steps taken: 0 if the kernel was in the set.

        Raises:
            ValueError: If an argument is not allowed.
        """
        positive_int(type(self).__name__, "max_steps", max_steps)
        if not tol >= 0:
            raise ValueError(f"tol={tol!r} in {type(self).__name__}.project_ must be at least 0")
        a = self.arguments
        with torch.no_grad(), full_precision():
            raw = self.raw_weight.double()
            kernel, steps = clip_singular_values(raw, a.stride, a.dilation, a.groups, tol=tol, max_steps=max_steps)
            if steps:
                self.raw_weight.copy_(kernel)
        return steps

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        a = self.arguments
        return limit_norm(raw[0], stride=a.stride, dilation=a.dilation, groups=a.groups)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return clip_singular_values(weight, self.arguments.stride, self.arguments.dilation, self.arguments.groups)[:1]
