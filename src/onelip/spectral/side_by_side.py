"""What several layers need for their clipping at the same time, computed in few operations on many matrices.

On a GPU an operation on one layer's matrices takes less time than asking for it, so that clipping layer by layer would
leave it idle most of the time. On a CPU layers come one by one, which keeps their matrices in its cache.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.modules.conv import _ConvNd

from onelip.spectral.clip_fourier import Grid, Symbol
from onelip.spectral.low_rank_projection import Projected, project_kernels
from onelip.spectral.quick_norm import quick_norms

_STEPS = 18
"""Of the search for the norm, which then is some thousandths too low."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A kernel to be moved, see `project_kernels`; the answer is a `Projected`.

    Attributes:
        kernel: `(groups, out, in, taps)`.
        grid: Of its symbol; None for a matrix.
        symbol: Its symbol.
        max_norm: The bound.
        tol: Relative excess that is let be.
    """

    kernel: Tensor
    grid: Grid | None
    symbol: Symbol
    max_norm: float
    tol: float

    @property
    def kind(self) -> Hashable:
        """What those have in common that can be answered together."""
        return self.grid, len(self.kernel), self.kernel.dtype, self.device, self.tol

    @property
    def device(self) -> torch.device:
        """Where the kernel is."""
        return self.kernel.device

    @property
    def size(self) -> int:
        """How many numbers it takes."""
        return self.kernel[..., 0].numel() * self.symbol.waves[0].numel()


@dataclass(frozen=True, eq=False)
class Measurement:
    """A convolution to be measured, see `quick_norms`; the answer is its norm and the vector.

    Attributes:
        conv: The convolution.
        input_shape: Shape of one input, without the batch.
        start: A vector to start from.
    """

    conv: _ConvNd
    input_shape: tuple[int, ...]
    start: Tensor | None

    @property
    def kind(self) -> Hashable:
        """What those have in common that can be answered together."""
        c = self.conv
        shapes = type(c), c.weight.shape, c.groups, self.input_shape
        options = c.stride, c.padding, c.dilation, c.output_padding, c.padding_mode
        return *shapes, *options, c.weight.dtype, self.device

    @property
    def device(self) -> torch.device:
        """Where the convolution is."""
        return self.conv.weight.device

    @property
    def size(self) -> int:
        """How many numbers it takes."""
        return 2 * _STEPS * torch.Size(self.input_shape).numel()


Request = Projection | Measurement
Answer = Projected | tuple[float, Tensor]


def answers_to(requests: Mapping[int, Request]) -> dict[int, Answer]:
    """Compute what is asked for, together as far as it is alike and memory allows.

    Args:
        requests: By the number of who asks.

    Returns:
        The answers, by the same number.
    """
    alike = defaultdict(list)
    for who, request in requests.items():
        alike[type(request), request.kind].append(who)
    answers: dict[int, Answer] = {}
    for whos in alike.values():
        for stack in _stacks(whos, requests):
            answers |= zip(stack, _answered([requests[who] for who in stack]), strict=True)
    return answers


def _stacks(whos: Sequence[int], requests: Mapping[int, Request]) -> Iterator[list[int]]:
    # The largest first, as the others are filled up to its size.
    waiting = sorted(whos, key=lambda who: requests[who].size, reverse=True)
    while waiting:
        largest = requests[waiting[0]]
        count = max(1, _numbers_at_once(largest.device) // largest.size)
        yield waiting[:count]
        waiting = waiting[count:]


def _numbers_at_once(device: torch.device) -> int:
    return 0 if device.type == "cpu" else 2**24


def _answered(requests: Sequence[Request]) -> Sequence[Answer]:
    first = requests[0]
    if isinstance(first, Projection):
        projections = [request for request in requests if isinstance(request, Projection)]
        kernels, bounds = [p.kernel for p in projections], [p.max_norm for p in projections]
        return project_kernels(kernels, first.symbol, bounds, tol=first.tol)
    measurements = [request for request in requests if isinstance(request, Measurement)]
    convs, starts = [m.conv for m in measurements], [m.start for m in measurements]
    return quick_norms(convs, first.input_shape, starts, _STEPS)
