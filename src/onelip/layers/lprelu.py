"""LPReLU: a leaky ReLU whose learned slope stays within [-1, 1]."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import Activation
from onelip.layers.registry import register


@register(
    kind="activation",
    name="lprelu",
    paper="He et al. 2015, arXiv:1502.01852; clamped as in DEEL-Torchlip, Serrurier et al. 2021, arXiv:2006.06520",
)
class LPReLU(Activation):
    """Multiply negative entries by a learned slope a = min(1, max(-1, weight)): y = max(0, x) + a min(0, x).

    A slope of -1 is the absolute value, 0 is ReLU, 1 the identity. The constant is 1 for every stored weight; its plain
    form is an `nn.PReLU`. A weight beyond [-1, 1] has no gradient until `retract_` brings it back.

    Shape: `(N, C, ...)`, or any shape if there is one slope for all; the output has the shape of the input.

    Args:
        num_parameters: Number of slopes: 1, or one for each channel.
        init: First value of every weight.
        device: Device of the weights.
        dtype: Precision of the weights.

    Raises:
        ValueError: If `num_parameters` is not a positive integer or `init` not a finite number; in `forward`, if the
            input has another number of channels.
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(1)
        self.num_parameters = positive_int("LPReLU", "num_parameters", num_parameters)
        self.init = _finite(init)
        if num_parameters > 1:
            self.with_channels(num_parameters)
        self.weight = nn.Parameter(torch.full((num_parameters,), self.init, device=device, dtype=dtype))

    @classmethod
    def for_channels(cls, channels: int, *, init: float = 0.25) -> Self:
        """Build it with a slope for each channel.

        Args:
            channels: Size of axis 1.
            init: First value of every weight.

        Returns:
            The layer.
        """
        return cls(channels, init).with_channels(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        slope = self.weight.clamp(-1, 1)
        if self.channels is not None:
            slope = slope.reshape(-1, *[1] * (x.dim() - 1 - self.axis_of(x)))
        return torch.where(x > 0, x, slope * x).to(x.dtype)

    @override
    def to_plain(self) -> nn.Module:
        plain = nn.PReLU(self.num_parameters, device=self.weight.device, dtype=self.weight.dtype)
        with torch.no_grad():
            plain.weight.copy_(self.weight.clamp(-1, 1))
        return plain.eval()

    @override
    def retract_(self) -> None:
        with torch.no_grad():
            self.weight.clamp_(-1, 1)

    @override
    def extra_repr(self) -> str:
        return f"{self.num_parameters}, init={self.init!r}"


def _finite(init: Any) -> float:
    if type(init) not in (int, float) or not math.isfinite(init):
        raise ValueError(f"init={init!r} in LPReLU must be a finite number")
    return float(init)
