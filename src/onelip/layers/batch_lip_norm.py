"""BatchLipNorm: batch normalization by one factor for all channels, which a budget bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.batch_statistics import (
    BatchStatistics,
    batch_mean,
    batch_variance,
    checked_number,
    per_channel,
)
from onelip.layers.normalize import Normalize
from onelip.layers.registry import register
from onelip.linalg import Bound, add_up, divide_up, down, sqrt_up


@register(
    kind="normalization",
    name="batch-lip-norm",
    paper="as in DEEL-Torchlip 1.0.5 (issue 47), with a bound for each layer",
)
class BatchLipNorm(BatchStatistics):
    """Centre each channel and divide all by their largest standard deviation: y = (x - mean) s + bias.

    s = min(constant, 1 / sqrt(max_c var_c + eps)) is one factor for all channels, so the layer is a multiple of an
    isometry and its Lipschitz constant is s itself, proved from the stored variances and never above `constant`. With
    constant = 1 it only shrinks; `distribute_constant` shares a network's budget L out as L^(1/n). The published layer
    has no such limit and leaves the product of all factors to be counted at the end.

    In eval mean and variance are the running ones. In training they are the batch's, over samples and space, and
    gradients pass through them; the variance is the biased one in both. In distributed training the batch is
    that of all processes. The plain form is a `Normalize`.

    Shape: `(N, num_features, ...)`; the output has the shape and precision of the input.

    Args:
        num_features: Channels of the input.
        eps: Added to the largest variance.
        momentum: Weight of the newest batch in the running statistics.
        bias: Learn a number for each channel that is added at the end?
        device: Device of parameters and buffers.
        dtype: Their precision.
        constant: The largest factor, an argument like a kernel size: not learned and not in the state dict.

    Raises:
        ValueError: If an argument is not a number of its range; in `forward`, if the input has another number of
            channels, or, in training, a single value for each.
    """

    running_var: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        constant: float = 1.0,
    ) -> None:
        super().__init__(num_features, momentum, bias, device, dtype)
        self.eps = checked_number("BatchLipNorm", "eps", eps, 0.0)
        self.register_buffer("running_var", torch.ones(num_features, device=device, dtype=dtype))
        self.constant = 1.0
        self.limit_(constant)

    def limit_(self, constant: float) -> None:
        """Set the largest factor.

        Args:
            constant: A finite number of at least 1e-100.

        Raises:
            ValueError: If it is not.
        """
        # So that its square has a reciprocal.
        self.constant = checked_number("BatchLipNorm", "constant", constant, 1e-100)

    @override
    def forward(self, x: Tensor) -> Tensor:
        wide = self.wide(x)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, count = batch_mean(wide)
            variance = batch_variance(wide, mean, count)
            self.update_(self.running_mean, mean)
            self.update_(self.running_var, variance)
        # Limited before the root, whose derivative is infinite at 0.
        divisor = (variance.max() + self.eps).clamp_min(self.constant**-2).sqrt()
        return self.shifted((wide - per_channel(mean, wide)) / divisor).to(x.dtype)

    def _largest_variance(self) -> float:
        self.stored()
        largest = float(self.running_var.detach().double().max())
        if largest < 0:
            raise ValueError(f"running_var={self.running_var.tolist()} in BatchLipNorm must not be negative")
        return largest

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        # Two roundings, of the sum and of its root.
        below = down(math.sqrt(max(0.0, down(self._largest_variance() + self.eps))))
        factor = divide_up(1.0, below) if below > 0 else math.inf
        return Bound(min(self.constant, factor), True, "largest variance")

    def norm_estimate(self) -> Tensor:
        """Compute the constant for training, from the running variances.

        Returns:
            The factor of all channels, a scalar that is not rounded up; no gradient passes through it.
        """
        return (self.running_var.max() + self.eps).clamp_min(self.constant**-2).rsqrt()

    @override
    def to_plain(self) -> nn.Module:
        divisor = max(sqrt_up(add_up(self._largest_variance(), self.eps)), divide_up(1.0, self.constant))
        like = self.running_mean
        std = torch.tensor(divisor, dtype=like.dtype, device="cpu")
        if std.double() < divisor:
            # Rounded up, so that the plain form stretches no more than this layer.
            std = torch.nextafter(std, torch.tensor(math.inf, dtype=like.dtype))
        mean = like.detach().double()
        if self.bias is not None:
            mean = mean - self.bias.detach().double() * std.double().to(mean.device)
        return Normalize(mean.tolist(), [float(std)] * len(mean), like.device, like.dtype).eval()

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, eps={self.eps!r}, constant={self.constant!r}"
