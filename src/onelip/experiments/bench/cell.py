"""What the training and the evaluation of one network cost: one model made of one method's layers."""

from __future__ import annotations

import copy
import functools
import gc
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from onelip import losses, models
from onelip.experiments.bench.process_memory import peak_resident_bytes, resident_bytes
from onelip.experiments.bench.stopwatch import synchronised
from onelip.experiments.bench.timing import time_it
from onelip.layers import retract_, to_plain

Numbers: TypeAlias = Mapping[str, float | int | None]
"""Fields of a `Measurement`."""

_CACHINGS = 3
"""Changes of the weights after which the first evaluation is timed."""

_MARGIN, _TEMPERATURE, _RATE, _MOMENTUM = 0.3993, 0.25, 1e-3, 0.9
_CHANNELS = 3


@dataclass(frozen=True)
class Cell:
    """What is measured.

    Attributes:
        model: Name of an architecture.
        method: Name of its layers, or "plain".
        batch: Images in a batch.
        image: Pixels of a side.
        classes: Number of logits.
        device: "cpu" or "cuda", perhaps with a number.
        threads: Of torch, on the CPU.
        steps: How often each thing is timed.
        seconds: About how long the measuring may take; what takes longer is timed once.
    """

    model: str
    method: str
    batch: int
    image: int
    classes: int
    device: str
    threads: int
    steps: int
    seconds: float

    def network(self) -> nn.Module:
        """Build the network.

        Returns:
            In train mode, on the device.
        """
        if torch.device(self.device).type == "cpu":
            return _build(self, self.model)
        return copy.deepcopy(_built(self)).to(self.device)

    def images(self) -> tuple[Tensor, Tensor]:
        """Draw a batch.

        Returns:
            Pixels `(batch, 3, image, image)` in [0, 1] and labels, on the device.
        """
        generator = torch.Generator().manual_seed(1)
        pixels = torch.rand(self.batch, _CHANNELS, self.image, self.image, generator=generator)
        return pixels.to(self.device), (torch.arange(self.batch) % self.classes).to(self.device)


def measure_training(cell: Cell) -> Numbers:
    """Measure training steps: weights, forward, loss, backward, a step of SGD with momentum, retraction.

    Args:
        cell: The network; half of its time is for this.

    Returns:
        Seconds, bytes, operations and the number of parameters.
    """
    with _memory(cell) as peak:
        model = cell.network().train()
        step = _training_step(model, *cell.images())
        # As the first step, which is not timed.
        flops = _flops(step)
        timing = time_it(step, torch.device(cell.device), repeats=cell.steps, seconds=cell.seconds / 2)
        memory = peak()
        return {
            "train_seconds": timing.median,
            "train_iqr_seconds": timing.iqr,
            "train_memory_bytes": memory,
            "train_flops": flops,
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        }


def measure_evaluation(cell: Cell) -> Numbers:
    """Measure evaluations without gradients: with weights built before, of changed weights, and of the plain form.

    Args:
        cell: The network; half of its time is for this.

    Returns:
        Seconds, bytes and operations.
    """
    device, part = torch.device(cell.device), cell.seconds / 6
    with _memory(cell) as peak, torch.no_grad():
        model = cell.network().eval()
        pixels, _ = cell.images()
        model(pixels)
        flops = _flops(lambda: model(pixels))
        timing = time_it(lambda: model(pixels), device, repeats=cell.steps, seconds=part)
        memory = peak()
        first = _first_evaluation(model, pixels, device, part)
        plain = to_plain(model).eval()
        plain(pixels)
        of_plain = time_it(lambda: plain(pixels), device, repeats=cell.steps, seconds=part)
        return {
            "eval_seconds": timing.median,
            "eval_iqr_seconds": timing.iqr,
            # Within the noise where nothing is built.
            "caching_seconds": max(0.0, first - timing.median),
            "plain_eval_seconds": of_plain.median,
            "eval_memory_bytes": memory,
            "forward_flops": flops,
        }


def _build(cell: Cell, model: str, **options: Any) -> nn.Module:
    shape = (_CHANNELS, cell.image, cell.image)
    torch.manual_seed(0)
    return models.build(model, input_shape=shape, n_classes=cell.classes, layer=cell.method, **options)


# Drawing the weights of a large network takes longer than a GPU takes to measure it.
@functools.lru_cache(maxsize=1)
def _built(cell: Cell) -> nn.Module:
    return _build(cell, cell.model)


def _training_step(model: nn.Module, pixels: Tensor, labels: Tensor) -> Callable[[], None]:
    loss = losses.build("offset-cross-entropy", margin=_MARGIN, temperature=_TEMPERATURE)
    optimizer = torch.optim.SGD(model.parameters(), _RATE, momentum=_MOMENTUM)

    def step() -> None:
        optimizer.zero_grad()
        loss(model(pixels), labels).backward()
        optimizer.step()
        retract_(model)

    return step


def _first_evaluation(model: nn.Module, pixels: Tensor, device: torch.device, seconds: float) -> float:
    times: list[float] = []
    while len(times) < _CACHINGS and (not times or sum(times) < seconds):
        for parameter in model.parameters():
            # The numbers stay, the weights made of them are out of date.
            parameter.mul_(1.0)
        before = synchronised(device)
        model(pixels)
        times.append(synchronised(device) - before)
    return statistics.median(times)


def _flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@contextmanager
def _memory(cell: Cell) -> Iterator[Callable[[], int]]:
    device = torch.device(cell.device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            start = torch.cuda.memory_allocated(device)
            yield lambda: torch.cuda.max_memory_allocated(device) - start
        else:
            torch.set_num_threads(cell.threads)
            _load_code(cell)
            start = resident_bytes()
            yield lambda: peak_resident_bytes() - start


# What a first use brings into memory, libraries and thread pools, is no part of what a network needs.
def _load_code(cell: Cell) -> None:
    tiny = Cell(**{**vars(cell), "batch": 1, "image": 32, "classes": 2})
    network = _build(tiny, "convnet-xs", width=4)
    _training_step(network.train(), *tiny.images())()
    with torch.no_grad():
        network.eval()(tiny.images()[0])
