"""One training step and one evaluation of a layer, timed in turn with those of the plain layer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.layers import retract_

_WARM_UP = 2
"""Steps of each layer that are not timed."""

_LEARNING_RATE = 1e-3


def training_step(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """Make the step that is timed: forward, backward into weights and input, an SGD step, `retract_`.

    In train mode the forward pass builds the constrained weight. The gradient that comes from behind is random.

    Args:
        layer: The layer; put into train mode at each call.
        x: A batch that wants a gradient.

    Returns:
        A function without arguments.
    """
    optimizer = torch.optim.SGD(layer.parameters(), _LEARNING_RATE)
    layer.train()
    with torch.no_grad():
        shape = layer(x[:1]).shape[1:]
    generator = torch.Generator().manual_seed(3)
    behind = torch.randn(x.shape[0], *shape, generator=generator).to(x) / x.shape[0]

    def step() -> None:
        layer.train()
        x.grad = None
        optimizer.zero_grad()
        layer(x).backward(behind)
        optimizer.step()
        retract_(layer)

    return step


def evaluation(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """Make the evaluation that is timed: a forward pass without gradients, of weights built once.

    Args:
        layer: The layer; put into eval mode at each call.
        x: A batch.

    Returns:
        A function without arguments.
    """

    def run() -> None:
        layer.eval()
        with torch.no_grad():
            layer(x)

    return run


@dataclass(frozen=True)
class Times:
    """Medians over the timed steps.

    Attributes:
        seconds: Of the layer.
        plain_seconds: Of the plain layer, timed in turn with it.
    """

    seconds: float
    plain_seconds: float

    @property
    def ratio(self) -> float:
        """How many times as long as the plain layer."""
        return self.seconds / self.plain_seconds


def timed_in_turn(run: Callable[[], None], plain: Callable[[], None], repeats: int, device: torch.device) -> Times:
    """Time two functions in turn, so that both see the machine alike.

    Args:
        run: What is measured.
        plain: What it is compared with.
        repeats: How often each.
        device: Where they compute.

    Returns:
        The medians.
    """
    for _ in range(_WARM_UP):
        run()
        plain()
    pairs = [(_seconds(plain, device), _seconds(run, device)) for _ in range(repeats)]
    return Times(_median([own for _, own in pairs]), _median([other for other, _ in pairs]))


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _seconds(run: Callable[[], None], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
