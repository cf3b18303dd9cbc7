"""What layers share that learn the mean, or the spread, of each channel from the batches that they see in training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, distributed, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import positive_int


def several_processes() -> bool:
    """Ask whether this process is one of several of a distributed training.

    Returns:
        Whether there are others.
    """
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes, whose gradient is the sum of the gradients in all of them."""

    @staticmethod
    @override
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.detach().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _SumOverProcesses.apply(grads[0])


def _sum_over_processes(values: Tensor) -> Tensor:
    return _SumOverProcesses.apply(values)


# What `torch.compiler.disable` marks a function with, without its import of the whole compiler.
_sum_over_processes._torchdynamo_disable = True  # type: ignore[attr-defined]


def batch_mean(x: Tensor) -> tuple[Tensor, Tensor | float]:
    """Compute the mean of each channel over the samples of all processes, of which each may have another number.

    Gradients pass, also to the samples of the other processes, where the gradients of all processes are added up.

    Args:
        x: `(N, C, ...)`, of one shape but for N in each process.

    Returns:
        `(C,)` means, and how many values of a channel there are.
    """
    n = x.numel() / x.shape[1]
    if not several_processes():
        return x.mean(batch_axes(x)), n
    sums = _sum_over_processes(torch.cat([x.sum(batch_axes(x)), x.new_tensor([n])]))
    return sums[:-1] / sums[-1], sums[-1].detach()


def batch_variance(x: Tensor, mean: Tensor, count: Tensor | float) -> Tensor:
    """Compute the biased variance of each channel over the samples of all processes, as `batch_mean` does the mean.

    Args:
        x: `(N, C, ...)`.
        mean: What `batch_mean` gave.
        count: What `batch_mean` gave.

    Returns:
        `(C,)` variances.
    """
    if not several_processes():
        return x.var(batch_axes(x), correction=0)
    return _sum_over_processes((x - per_channel(mean, x)).square().sum(batch_axes(x))) / count


class BatchStatistics(ConstrainedModule):
    """Base of layers that centre each channel: by the batch's mean in training, by the running mean in eval.

    Like torch's BatchNorm, and unlike every other layer of this library, it writes to buffers in a training forward:
    running <- (1 - momentum) running + momentum (the batch's). In distributed training the batch is that
    of all processes. Eval writes nothing and treats samples one by one. The constants that it states are those of eval:
    in training the samples of a batch are coupled.

    Args:
        num_features: Channels of the input.
        momentum: Weight of the newest batch, from 0 (keep the statistics) to 1 (keep the last batch's only).
        bias: Learn a number for each channel that is added at the end?
        device: Device of parameters and buffers.
        dtype: Their precision.

    Raises:
        ValueError: If `num_features` is not a positive integer or `momentum` not a number from 0 to 1; in `forward`,
            if the input has another number of channels, or, in training, a single value for each.
    """

    running_mean: Tensor
    bias: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        momentum: float,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_features = positive_int(owner, "num_features", num_features)
        self.momentum = checked_number(owner, "momentum", momentum, 0.0, 1.0)
        self.register_buffer("running_mean", torch.zeros(num_features, device=device, dtype=dtype))
        offset = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", offset)

    def wide(self, x: Tensor) -> Tensor:
        """Check the shape of an input and bring it to the precision to compute in.

        Args:
            x: The input.

        Returns:
            The input in the wider of its precision and that of the statistics.

        Raises:
            ValueError: If it has another number of channels, or, in training, a single value for each.
        """
        check_channels(type(self).__name__, x, self.num_features)
        if self.training and x.numel() == self.num_features and not several_processes():
            raise ValueError(
                f"input of shape {tuple(x.shape)} in {type(self).__name__} has one value for each of "
                f"num_features={self.num_features}, of which training learns nothing; use a larger batch"
            )
        return x.to(torch.promote_types(x.dtype, self.running_mean.dtype))

    def update_(self, running: Tensor, batch: Tensor) -> None:
        """Move a running statistic towards that of a batch.

        Args:
            running: The buffer, changed in place.
            batch: The batch's statistic.
        """
        with torch.no_grad():
            running.lerp_(batch.detach().to(running.dtype), self.momentum)

    def shifted(self, x: Tensor) -> Tensor:
        """Add the bias, if there is one.

        Args:
            x: `(N, C, ...)`.

        Returns:
            The same shape.
        """
        return x if self.bias is None else x + per_channel(self.bias, x)

    def stored(self) -> list[Tensor]:
        """Collect the numbers that eval uses.

        Returns:
            Every parameter and buffer in float64.

        Raises:
            ValueError: If one is NaN or infinite.
        """
        tensors = [t.detach().double() for t in (*self.parameters(), *self.buffers())]
        if not all(bool(t.isfinite().all()) for t in tensors):
            raise ValueError(
                f"num_features={self.num_features} in {type(self).__name__}: a stored number is not finite"
            )
        return tensors

    @override
    def extra_repr(self) -> str:
        return f"{self.num_features}, momentum={self.momentum!r}, bias={self.bias is not None}"


def check_channels(owner: str, x: Tensor, num_features: int) -> None:
    """Check the channels of an input.

    Args:
        owner: Class that was called.
        x: The input.
        num_features: Channels that it must have.

    Raises:
        ValueError: If it has others.
    """
    if x.dim() < 2 or x.shape[1] != num_features:
        raise ValueError(f"input of shape {tuple(x.shape)} in {owner} must have num_features={num_features} channels")


def checked_number(owner: str, name: str, value: Any, least: float, most: float = math.inf) -> float:
    """Check an argument that is a finite number in a range.

    Args:
        owner: Class that the user called.
        name: Name of the argument.
        value: What the user gave.
        least: Smallest number allowed.
        most: Largest number allowed.

    Returns:
        The number.

    Raises:
        ValueError: If it is something else.
    """
    if type(value) not in (int, float) or not (math.isfinite(value) and least <= value <= most):
        limit = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
        raise ValueError(f"{name}={value!r} in {owner} must be a finite number {limit}")
    return float(value)


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """Shape one number for each channel so that it broadcasts.

    Args:
        values: `(C,)`.
        like: `(N, C, ...)`.

    Returns:
        `(C, 1, ...)`.
    """
    return values.reshape(-1, *[1] * (like.dim() - 2))


def batch_axes(x: Tensor) -> tuple[int, ...]:
    """List all axes but that of the channels.

    Args:
        x: `(N, C, ...)`.

    Returns:
        Axis numbers.
    """
    return (0, *range(2, x.dim()))
