"""Measure the random changes of images: milliseconds per batch and images per second, on one thread.

    python -m benchmarks.augmentation                   batches of 256 images of 3x32x32 bytes
    python -m benchmarks.augmentation --device cuda
    python -m benchmarks.augmentation --markdown        as in docs/augmentation.md

Each operation of RandAugment is applied to all images of a batch; the recipes are whole batches as `Batches` makes
them, with their random numbers. Times are the fastest of the rounds; the rounds go through all rows in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from onelip.data import Augment, Batches, ColorJitter, ImageData, RandAugment, ResizedCrop
from onelip.data.rand_augment import OPERATIONS, operate_

N_IMAGES, SHAPE = 256, (3, 32, 32)
RECIPES = {
    "bytes to pixels": Augment(),
    "crop": Augment(crop=4),
    "crop, flip": Augment(crop=4, flip=True),
    "rotate, translate": Augment(rotate=5.0, translate=0.1),
    "cutout": Augment(cutout=16),
    "random-resized-crop": Augment(resized_crop=ResizedCrop()),
    "colour jitter without hue": Augment(color_jitter=ColorJitter(0.4, 0.4, 0.4)),
    "colour jitter": Augment(color_jitter=ColorJitter(0.4, 0.4, 0.4, 0.1)),
    "RandAugment": Augment(rand_augment=RandAugment()),
    "record: crop, flip, RandAugment for one half": Augment(
        crop=4, flip=True, rand_augment=RandAugment(probability=0.5)
    ),
}


def cases(device: str) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    stored = torch.randint(0, 256, (N_IMAGES, *SHAPE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    data = ImageData(stored, torch.zeros(N_IMAGES, dtype=torch.int64), 255.0).to(device)
    batches = {name: Batches(data, N_IMAGES, shuffle=True, augment=augment) for name, augment in RECIPES.items()}
    found: dict[str, Callable[[], object]] = {name: lambda made=made: made.batch(0) for name, made in batches.items()}
    pixels, sign = data.pixels(), np.resize([1, -1], N_IMAGES)
    for number, name in enumerate(OPERATIONS[1:], start=1):
        every = np.full(N_IMAGES, number)
        found[f"{name} alone, on all images"] = lambda every=every: operate_(pixels.clone(), every, sign, 0.3)
    return found


def measured(found: dict[str, Callable[[], object]], device: str, rounds: int) -> dict[str, float]:
    """Fewest milliseconds by name."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for k in range(rounds + 1):
        for name, run in found.items():
            start = time.perf_counter()
            run()
            if device != "cpu":
                torch.cuda.synchronize()
            # The first round warms up.
            if k:
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: min(t) for name, t in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {options.device}, 1 thread, batches of {N_IMAGES} images of {SHAPE}\n")
    rows = [("change", "ms a batch", "images a second")]
    for name, milliseconds in measured(cases(options.device), options.device, options.rounds).items():
        rows.append((name, f"{milliseconds:.2f}", f"{N_IMAGES / milliseconds * 1e3:,.0f}"))
    if options.markdown:
        rows.insert(1, ("---", "---:", "---:"))
    for row in rows:
        print("| " + " | ".join(row) + " |" if options.markdown else f"{row[0]:<46}{row[1]:>12}{row[2]:>18}")


if __name__ == "__main__":
    main()
