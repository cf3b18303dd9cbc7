"""The LipNeXt block: shifts of rotated channels between orthogonal 1x1 convolutions, as one kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.channel_shift import checked_shift_ratio
from onelip.layers.conv_arguments import checked_pair
from onelip.layers.explicit import ExplicitConv2d
from onelip.layers.orthogonal_block import OrthogonalBlock
from onelip.layers.positional_code import PositionalCode2d
from onelip.layers.projection import RETRACTED, Projection, orthogonal_parameter, projection
from onelip.layers.registry import register
from onelip.layers.shift_kernel import shift_plan
from onelip.linalg.polar import polar_factor


@register(
    kind="conv2d",
    name="lipnext",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper="Hu, Hu and Fredrikson 2026, arXiv:2601.18513",
    cost="two orthogonalisations, of M and R, and at most five products (out, c) x (c, c)",
)
class LipNeXtConv2d(ExplicitConv2d):
    """y = M R^T S(R (x + p)) + b: rotate the channels, shift some, rotate back and mix, with learned positions p.

    R is an orthogonal and M a semi-orthogonal matrix; S shifts `shift_ratio` of the channels to the left, as many up,
    right and down, and leaves the rest. All are linear, so M R^T S R = sum over taps t of M R_t^T R_t z^t is one
    explicit kernel, a cross of five taps for k = 3, and eval is one convolution. Shifts go to the ends of the kernel:
    by one pixel each way for k = 3. With a stride, M is as large as the stride and the shifts have what is left of the
    kernel, k - s + 1 taps; with a 1x1 kernel or one as large as the stride there are none. With no fewer
    outputs than inputs at stride 1 M comes first, so that there are more channels to shift.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Every singular value is 1 under circular padding by d (k - 1) in
    all, of images that the stride divides; with zeros the norm is still at most 1. The activation is not included.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair; shifts are by so many pixels more. With a common divisor of it and the stride,
            outputs must be no more than the values that are then seen.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        shift_ratio: Part of the channels that is shifted each way, above 0 and at most 1/4.
        image_size: An int or (height, width), the size of the learned positions p (`PositionalCode2d`) and of every
            input; None for no p and inputs of any size.
        orthogonaliser: As in `AOCConv2d`, for M and R.

    Raises:
        ValueError: If an argument is not allowed; if dilation and stride together, or a kernel smaller than its stride,
            miss pixels that the outputs would have to keep; if a group has one channel, whose kernel could only be a
            fixed tap; in `forward`, if the image has another size than p.

    Cost: see the record; nothing at inference beyond the convolution.
    Paper: Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt, ICLR 2026), where M and R are steps on the manifold.
    """

    orthogonal = True
    raw_names = ("raw_weight", "raw_rotation")

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
        shift_ratio: float = 0.125,
        image_size: int | tuple[int, int] | None = None,
        orthogonaliser: Projection = "polar-express",
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
        checked_shift_ratio(owner, shift_ratio)
        self.shift_ratio, self.image_size, self.orthogonaliser = shift_ratio, image_size, orthogonaliser
        projection(owner, orthogonaliser)
        self._plan = shift_plan(self.arguments, shift_ratio)
        if self._plan.matrix_shape[1:] == (1, 1):
            raise ValueError(
                f"groups={groups} in {owner} leaves one channel per group, where its kernel is one tap of +1 or -1 "
                f"that is not learned; use fewer groups, or 'aoc', which learns the place of the tap"
            )
        self.raw_weight = orthogonal_parameter(*self._plan.matrix_shape, device=device, dtype=dtype)
        shape = self._plan.rotation_shape
        self.raw_rotation: nn.Parameter | None = None
        if shape is not None:
            self.raw_rotation = orthogonal_parameter(*shape, device=device, dtype=dtype)
        self.positions = _positions(owner, in_channels, image_size, device, dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.positions is None else self.positions(x))

    @override
    def to_plain(self) -> nn.Module:
        plain = super().to_plain()
        return plain if self.positions is None else nn.Sequential(self.positions.to_plain(), plain).eval()

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        return self.compose(*(orthogonalise(r).matrix for r in raw))

    @override
    def compose(self, *raw: Tensor) -> Tensor:
        matrix, *rotation = raw
        return self._plan.kernel(matrix, rotation[0] if rotation else None)

    @override
    def orthogonal_blocks(self) -> tuple[OrthogonalBlock, ...]:
        return tuple(OrthogonalBlock(raw, tuple(raw.shape)) for raw in self.raw if isinstance(raw, nn.Parameter))

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        orthogonalise = projection(type(self).__name__, self.orthogonaliser)
        return tuple(orthogonalise(r, tol=RETRACTED).matrix for r in raw)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        matrix, *rotation = (polar_factor(r.detach().double()) for r in self.raw)
        return self._plan.fit(weight, matrix, rotation[0] if rotation else None)

    @override
    def options(self) -> dict[str, Any]:
        return {
            "shift_ratio": self.shift_ratio,
            "image_size": self.image_size,
            "orthogonaliser": self.orthogonaliser,
        }


def _positions(owner: str, channels: int, image_size: Any, device: Any, dtype: Any) -> PositionalCode2d | None:
    if image_size is None:
        return None
    return PositionalCode2d(channels, checked_pair(owner, "image_size", image_size, 1), device, dtype)
