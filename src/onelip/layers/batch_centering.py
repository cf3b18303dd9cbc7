"""BatchCentering: batch normalization without the division."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.batch_statistics import BatchStatistics, batch_mean, per_channel
from onelip.layers.normalize import Normalize
from onelip.layers.registry import register
from onelip.linalg import EXACT_ONE, Bound


@register(
    kind="normalization",
    name="batch-centering",
    orthogonal=True,
    paper="as in DEEL-Torchlip, Serrurier et al. 2021, arXiv:2006.06520, and Orthogonium",
)
class BatchCentering(BatchStatistics):
    """Subtract the mean of each channel and add a learned bias: y = x - mean + bias.

    In eval the mean is the running one: a translation, whose Jacobian is the identity. In training it is that of the
    batch, over samples and space, as in `nn.BatchNorm2d`, and gradients pass through it; in distributed
    training the batch is that of all processes, as in `nn.SyncBatchNorm`. The plain form is a `Normalize` with unit
    deviations.

    Shape: `(N, num_features, ...)`; the output has the shape and precision of the input.

    Args:
        num_features: Channels of the input.
        momentum: Weight of the newest batch in the running mean.
        bias: Learn a number for each channel that is added at the end?
        device: Device of parameters and buffers.
        dtype: Their precision.

    Raises:
        ValueError: If `num_features` is not a positive integer or `momentum` not a number from 0 to 1; in `forward`,
            if the input has another number of channels, or, in training, a single value for each.
    """

    orthogonal = True

    def __init__(
        self,
        num_features: int,
        momentum: float = 0.1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, momentum, bias, device, dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        wide = self.wide(x)
        mean = self.running_mean
        if self.training:
            mean, _ = batch_mean(wide)
            self.update_(self.running_mean, mean)
        return self.shifted(wide - per_channel(mean, wide)).to(x.dtype)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        self.stored()
        return EXACT_ONE

    @override
    def to_plain(self) -> nn.Module:
        mean = self.running_mean.detach().double()
        if self.bias is not None:
            mean = mean - self.bias.detach().double()
        like = self.running_mean
        return Normalize(mean.tolist(), [1.0] * len(mean), like.device, like.dtype).eval()
