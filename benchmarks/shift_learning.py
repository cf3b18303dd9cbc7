"""Which orthogonal convolutions learn to shift an image by one pixel, from a random start?

A layer is trained on random images to do what a shift does: no shift and the eight one-pixel shifts, Adam at 0.05, 500
steps. It has learned one if its kernel is within 0.05 of the shift's, in the largest entry. Run from the repository:

    python -m benchmarks.shift_learning --kernel 3 --channels 2 4 8 --seeds 3
"""

from __future__ import annotations

import argparse
import itertools
import time

import torch
from torch import Tensor

from onelip.layers import AOCConv2d

TOLERANCE = 0.05
RANKS = ("half", "free", "doubled")


def shift_kernel(channels: int, size: int, tap: tuple[int, int]) -> Tensor:
    """The kernel (channels, channels, size, size) that keeps every channel and moves the image.

    Args:
        channels: Number of channels.
        size: Side of the kernel.
        tap: (row, column) of its only tap.

    Returns:
        The kernel.
    """
    kernel = torch.zeros(channels, channels, size, size)
    kernel[range(channels), range(channels), tap[0], tap[1]] = 1
    return kernel


def learn(layer: AOCConv2d, target: Tensor, *, steps: int, rate: float = 0.05) -> tuple[int | None, float]:
    """Train a layer towards a kernel, on random images.

    Args:
        layer: Of stride 1, in as many channels as out, with circular padding.
        target: A kernel of the same shape.
        steps: Largest number of steps.
        rate: Learning rate of Adam.

    Returns:
        The step at which the kernel was near the target, or None, and the distance of the largest entry at the end.
    """
    optimizer = torch.optim.Adam(layer.parameters(), rate)
    distance = float("inf")
    for step in range(steps):
        x = torch.randn(8, layer.in_channels, 6, 6)
        wanted = torch.nn.functional.conv2d(layer.arguments.pad(x), target)
        optimizer.zero_grad()
        (layer(x) - wanted).square().mean().backward()
        optimizer.step()
        if step % 10 == 9:
            distance = float((layer.weight.detach() - target).abs().max())
            if distance <= TOLERANCE:
                return step + 1, distance
    return None, distance


def main() -> None:
    """Print how many of the nine shifts are learned, for every choice of ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", type=int, nargs="+", default=[3])
    parser.add_argument("--channels", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--ranks", nargs="+", default=list(RANKS), choices=RANKS)
    given = parser.parse_args()
    for kernel, channels, rank in itertools.product(given.kernel, given.channels, given.ranks):
        centre, began, taken = kernel // 2, time.perf_counter(), []
        taps = list(itertools.product(range(centre - 1, centre + 2), repeat=2))
        for seed, tap in itertools.product(range(given.seeds), taps):
            torch.manual_seed(seed)
            layer = AOCConv2d(
                channels, channels, kernel, padding=centre, bias=False, padding_mode="circular", rank=rank
            )
            step, _ = learn(layer, shift_kernel(channels, kernel, tap), steps=given.steps)
            taken += [] if step is None else [step]
        typical = sorted(taken)[len(taken) // 2] if taken else "-"
        seconds = time.perf_counter() - began
        print(
            f"kernel {kernel}, channels {channels}, rank {rank:8}: {len(taken):3} of {given.seeds * 9}, "
            f"median step {typical}, {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
