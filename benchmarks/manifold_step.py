"""Time a training step on the manifold beside that of a plain network with Adam, side by side in one process.

    python benchmarks/manifold_step.py                    the digits network, a LipNeXt and the pyramid of AOC
    python benchmarks/manifold_step.py digits --rounds 50
    python benchmarks/manifold_step.py --device cuda

Each network is built with orthogonal layers and with `nn.Linear` and `nn.Conv2d` of the same sizes, and steps are taken
in turn, so that a busy machine slows all down alike. Batch and precision are those in which the networks are trained:
128 and float32 for the digits, 256 and bfloat16 autocast for the others. Prints medians of the time of a step
(gradient to zero, forward, backward, optimiser, and `retract_` where weights are parametrised) and the ratio to the
plain network: on a CPU the time of one thread, on a GPU that of the clock on the wall until the GPU is done. Exit code
1 if the ratio of the arm `--judge` exceeds `--limit`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from onelip import layers, losses, models
from onelip.optim import ManifoldAdam

WARM_UP = 1
"""Rounds until Adam's first steps, which are the largest, are over."""

PERIODS = (1, 2, 3, 4)
PARAMETRISED = "parametrised, Adam"


@dataclass(frozen=True)
class Case:
    """A network and how it is trained.

    Attributes:
        build: Makes it, of plain layers or of orthogonal ones.
        image: Shape of an image.
        batch: Images of a step.
        mixed: Run in bfloat16 autocast?
        steps: Of a round, between two looks at the clock; a multiple of the periods.
        share: Rounds of this network for one of the digits'.
    """

    build: Callable[[bool], nn.Module]
    image: tuple[int, int, int]
    batch: int
    mixed: bool
    steps: int
    share: float


def digits(plain: bool) -> nn.Module:
    """Three dense layers of 192 for the digits."""
    widths = [64, 192, 192, 192, 10]
    parts: list[nn.Module] = [nn.Flatten()]
    for into, out in itertools.pairwise(widths):
        parts += [
            nn.Linear(into, out) if plain else layers.linear("bjorck", into, out),
            layers.activation("maxmin", out),
        ]
    return nn.Sequential(*parts[:-1])


def lipnext(plain: bool) -> nn.Module:
    """Four LipNeXt blocks of width 256 on 8x8 pixels."""
    layer = {"layer": "plain"} if plain else {}
    return models.build("lipnext", input_shape=(3, 32, 32), n_classes=10, width=256, depth=4, patch=4, **layer)


def pyramid(plain: bool) -> nn.Module:
    """The model `pyramid` with its own options."""
    return models.build("pyramid", input_shape=(3, 32, 32), n_classes=10, layer="plain" if plain else None)


CASES = {
    "digits": Case(digits, (1, 8, 8), 128, False, 48, 1.0),
    "lipnext": Case(lipnext, (3, 32, 32), 256, True, 12, 0.1),
    "pyramid": Case(pyramid, (3, 32, 32), 256, True, 12, 0.1),
}


def arms(case: Case, device: str) -> dict[str, tuple[nn.Module, torch.optim.Optimizer]]:
    """Each way to train: network and optimiser."""
    found: dict[str, tuple[nn.Module, torch.optim.Optimizer]] = {}
    for name, plain, options in (
        ("plain, Adam", True, {}),
        ("plain, fused Adam", True, {"fused": True}),
        (PARAMETRISED, False, {}),
    ):
        torch.manual_seed(0)
        model = case.build(plain).to(device)
        found[name] = model, torch.optim.Adam(model.parameters(), 1e-3, **options)
    for precision, period in itertools.product(("float32", "bfloat16"), PERIODS):
        torch.manual_seed(0)
        model = case.build(False).to(device)
        optimizer = ManifoldAdam.for_model(model, 1e-3, period=period, precision=precision)
        found[f"manifold, {precision}, period={period}"] = model, optimizer
    return found


def now(device: str) -> float:
    """Seconds that this thread, or the GPU, has worked."""
    if device == "cpu":
        return time.thread_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def compare(case: Case, n_rounds: int, device: str) -> dict[str, float]:
    """Milliseconds of a step for each arm."""
    loss = losses.build("offset-cross-entropy", margin=0.95, temperature=0.07)
    images, labels = torch.rand(case.batch, *case.image, device=device), torch.arange(case.batch, device=device) % 10
    every = arms(case, device)
    times: dict[str, list[float]] = {name: [] for name in every}
    for i in range(max(3, round(n_rounds * case.share)) + WARM_UP):
        for name, (model, optimizer) in every.items():
            begin = now(device)
            for _ in range(case.steps):
                optimizer.zero_grad()
                with torch.autocast(device, torch.bfloat16, enabled=case.mixed):
                    logits = model(images)
                loss(logits.float(), labels).backward()
                optimizer.step()
                if name == PARAMETRISED:
                    layers.retract_(model)
            if i >= WARM_UP:
                times[name].append(1e3 * (now(device) - begin) / case.steps)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--limit", type=float, default=1.15)
    parser.add_argument("--judge", default="manifold, bfloat16, period=4", help="the arm that the limit is for")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    print("| network | method | ms/step | ratio |\n|---|---|---|---|")
    for name in options.networks:
        times = compare(CASES[name], options.rounds, options.device)
        base = times["plain, Adam"]
        for arm, value in times.items():
            print(f"| {name} | {arm} | {value:.2f} | {value / base:.2f} |", flush=True)
        failed |= times[options.judge] > options.limit * base
    sys.exit(failed)


if __name__ == "__main__":
    main()
