"""A sound layer that is as simple as can be, for the broken ones to break."""

from __future__ import annotations

import math
from typing import Any

import torch
from tests.contract.cases import Case
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import ExplicitConv2d, LayerRecord


class SoundConv2d(ExplicitConv2d):
    """K / (gain sqrt(h w) |K|_F) in each group, with h w the kernel's area and gain >= 1.

    |K x| <= sqrt(h w) |K|_F |x|, since each pixel is seen h w times at most (circular padding within the kernel's
    reach, zero padding, any stride).
    """

    def __init__(  # type: ignore[no-untyped-def]
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
        *,
        gain: float = 1.0,
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
        if not isinstance(gain, float) or gain < 1:
            raise ValueError(f"gain={gain!r} in {type(self).__name__} must be a float of at least 1")
        self.gain = gain
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.normal_(self.raw_weight)

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        return self.normalise(raw, self.gain)

    def normalise(self, raw: Tensor, gain: float) -> Tensor:
        grouped = raw.reshape(self.groups, -1)
        grouped = grouped / grouped.abs().amax(1, keepdim=True).clamp_min(torch.finfo(raw.dtype).tiny ** 0.5)
        norm = torch.linalg.vector_norm(grouped, dim=1, keepdim=True)
        scale = gain * math.sqrt(math.prod(self.kernel_size))
        return (grouped / (scale * norm).clamp_min(1e-6)).reshape(raw.shape)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)

    @override
    def options(self) -> dict[str, Any]:
        return {"gain": self.gain}


def case_of(layer: type[nn.Module]) -> Case:
    """The case that broken layers are checked on: a grouped, circular, 3 x 3 convolution."""
    norm = getattr(layer, "norm", "l2")
    record = LayerRecord("conv2d", "toy", layer, False, ("zeros", "circular"), False, True, "none", "none", norm=norm)
    return Case(record, "toy", (4, 4, 3), {"padding": 1, "groups": 2, "padding_mode": "circular"}, (4, 5, 6))
