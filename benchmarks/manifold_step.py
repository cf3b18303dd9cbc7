"""Time a training step on the manifold beside that of a plain network with Adam, side by side in one process.

    python benchmarks/manifold_step.py                    the digits network, a LipNeXt and an AOC network
    python benchmarks/manifold_step.py digits --rounds 50

Each network is built with orthogonal layers and with `nn.Linear` and `nn.Conv2d` of the same sizes, and steps are taken
in turn, so that a busy machine slows all down alike. Prints medians of the CPU time of a step (gradient to zero,
forward, backward, optimiser) on one thread and the ratio to the plain network; of eight steps the mean, as the return
to the manifold comes every eight steps.
Exit code 1 if the ratio with the default options exceeds `--limit`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from onelip import layers, losses
from onelip.optim import ManifoldAdam

BATCH = 128
WARM_UP = 4
ROUND = 8
Build = Callable[[bool], tuple[nn.Module, Tensor]]


def digits(plain: bool) -> tuple[nn.Module, Tensor]:
    """The network of the configuration `digits`."""
    widths = [64, 192, 192, 192, 10]
    parts: list[nn.Module] = [nn.Flatten()]
    for into, out in itertools.pairwise(widths):
        parts += [
            nn.Linear(into, out) if plain else layers.linear("bjorck", into, out),
            layers.activation("maxmin", out),
        ]
    return nn.Sequential(*parts[:-1]), torch.rand(BATCH, 1, 8, 8)


def convnet(plain: bool, method: str) -> tuple[nn.Module, Tensor]:
    """A stem of stride 4, three 3x3 convolutions of 32 channels on 8x8 images, a 1x1 one of 128, and a dense layer."""

    def conv(into: int, out: int, kernel: int, **arguments: int) -> nn.Module:
        if plain:
            return nn.Conv2d(into, out, kernel, **arguments)
        return layers.conv2d(method, into, out, kernel, **arguments)

    parts: list[nn.Module] = [conv(3, 32, 4, stride=4)]
    for _ in range(3):
        parts += [layers.activation("maxmin", 32), conv(32, 32, 3, padding=1)]
    dense = nn.Linear(512, 10) if plain else layers.linear("bjorck", 512, 10)
    pool = layers.InvertibleDownsampling2d(2)
    parts += [pool, conv(128, 128, 1), layers.activation("maxmin", 128), layers.ScaledAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*parts, dense), torch.rand(BATCH, 3, 32, 32)


NETWORKS: dict[str, Build] = {
    "digits": digits,
    "lipnext": lambda plain: convnet(plain, "lipnext"),
    "aoc": lambda plain: convnet(plain, "aoc"),
}


def arms(build: Build) -> dict[str, tuple[nn.Module, torch.optim.Optimizer, Tensor]]:
    """Each way to train: network, optimiser, images."""
    found: dict[str, tuple[nn.Module, torch.optim.Optimizer, Tensor]] = {}
    for name, options in (("plain, Adam", {}), ("plain, fused Adam", {"fused": True})):
        torch.manual_seed(0)
        model, images = build(True)
        found[name] = model, torch.optim.Adam(model.parameters(), 1e-3, **options), images
    choices: dict[str, dict[str, object]] = {
        "manifold": {},
        "manifold, exponential": {"retraction": "exponential"},
        "manifold, period=2": {"period": 2},
    }
    for name, chosen in choices.items():
        torch.manual_seed(0)
        model, images = build(False)
        found[name] = model, ManifoldAdam.for_model(model, 1e-3, **chosen), images
    return found


def compare(build: Build, n_rounds: int) -> dict[str, float]:
    """Milliseconds of a step for each arm."""
    loss = losses.build("offset-cross-entropy", margin=0.95, temperature=0.07)
    labels = torch.arange(BATCH) % 10
    every = arms(build)
    times: dict[str, list[float]] = {name: [] for name in every}
    for i in range(n_rounds + WARM_UP):
        for name, (model, optimizer, images) in every.items():
            begin = time.thread_time()
            for _ in range(ROUND):
                optimizer.zero_grad()
                loss(model(images), labels).backward()
                optimizer.step()
            if i >= WARM_UP:
                times[name].append(1e3 * (time.thread_time() - begin) / ROUND)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=", ".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--limit", type=float, default=1.15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    print("| network | method | ms/step | ratio |\n|---|---|---|---|")
    for name in options.networks:
        times = compare(NETWORKS[name], options.rounds)
        base = times["plain, Adam"]
        for arm, value in times.items():
            print(f"| {name} | {arm} | {value:.2f} | {value / base:.2f} |", flush=True)
        failed |= times["manifold"] > options.limit * base
    sys.exit(failed)


if __name__ == "__main__":
    main()
