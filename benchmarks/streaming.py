"""How many images a second are read from disk, by number of threads: JPEG files of ImageNet's usual size.

Writes a folder of its own, reads it twice with each number of threads, once as for training (random-resized crops) and
once as for evaluation (resized, the centre kept), and prints the second pass: files are then in the system's cache.

Run: python benchmarks/streaming.py --threads 1 2 4 --images 512
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from onelip.data import Augment, ResizedCrop, StreamedBatches, StreamedImages

SIZE = (500, 375)
"""Width and height of most images of ImageNet."""


def write(folder: Path, n_images: int) -> list[str]:
    """Write JPEG files of smooth colours with some noise, about 100 kB each; return their names."""
    rng = np.random.default_rng(0)
    names = [f"{i}.jpeg" for i in range(n_images)]
    noise = rng.normal(0.0, 8.0, (SIZE[1], SIZE[0], 3))
    for name in names:
        small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize(SIZE, Image.Resampling.BICUBIC)).astype(float)
        Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).save(folder / name, quality=90)
    return names


def images_per_second(data: StreamedImages, augment: Augment, batch_size: int) -> float:
    """Read all batches twice and time the second pass."""
    batches = StreamedBatches(data, batch_size, shuffle=True, augment=augment)
    for epoch in range(2):
        batches.set_epoch(epoch)
        start = time.perf_counter()
        n_read = sum(len(labels) for _, labels in batches)
        seconds = time.perf_counter() - start
    return n_read / seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        names = write(folder, options.images)
        kilobytes = sum((folder / name).stat().st_size for name in names) / len(names) / 1000
        print(f"{len(names)} JPEG files of {SIZE[0]}x{SIZE[1]} pixels, {kilobytes:.0f} kB each, to 224x224")
        print("threads  training, images/s  evaluation, images/s")
        for threads in options.threads:
            data = StreamedImages(folder, names, torch.zeros(len(names), dtype=torch.int64), threads=threads)
            training, evaluation = (
                images_per_second(data, augment, options.batch_size)
                for augment in (Augment(resized_crop=ResizedCrop(), flip=True), Augment())
            )
            print(f"{threads:7d}  {training:18.0f}  {evaluation:20.0f}")


if __name__ == "__main__":
    main()
