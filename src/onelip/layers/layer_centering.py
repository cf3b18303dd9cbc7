"""LayerCentering: layer normalization without the division."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.batch_statistics import check_channels, per_channel
from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import PlainLayer
from onelip.layers.registry import register


@register(
    kind="normalization",
    name="layer-centering",
    paper="as in DEEL-Torchlip, Serrurier et al. 2021, arXiv:2006.06520, and Orthogonium",
)
class LayerCentering(PlainLayer):
    """Subtract from each channel of a sample its mean over space, and add a learned bias.

    An orthogonal projection, I - 1 1^T / n on each channel of n entries, and a translation: 1-Lipschitz, in training
    and in eval alike. Inputs `(N, C)` have no space, and the mean is that over their C entries. A channel of one pixel
    becomes its bias. The mean is rounded, so the constant holds up to a few roundings in floating point.

    Shape: `(N, num_features, ...)`; the output has the shape and precision of the input.

    Args:
        num_features: Channels of the input.
        bias: Learn a number for each channel that is added at the end?
        device: Device of the bias.
        dtype: Precision of the bias.

    Raises:
        ValueError: If `num_features` is not a positive integer; in `forward`, if the input has another number of
            channels.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_features = positive_int("LayerCentering", "num_features", num_features)
        offset = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", offset)

    @override
    def forward(self, x: Tensor) -> Tensor:
        check_channels("LayerCentering", x, self.num_features)
        axes = tuple(range(2, x.dim())) or (1,)
        centred = x - x.mean(axes, keepdim=True)
        return centred if self.bias is None else (centred + per_channel(self.bias, x)).to(x.dtype)

    @override
    def extra_repr(self) -> str:
        return f"{self.num_features}, bias={self.bias is not None}"
