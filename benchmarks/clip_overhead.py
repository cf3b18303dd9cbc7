"""Measure what SpectralClipper adds to a step of training, in one process, in turn.

    python benchmarks/clip_overhead.py                       ResNet18, 128 images a step; about 4 minutes on two cores
    python benchmarks/clip_overhead.py --device cuda --steps 100
    python benchmarks/clip_overhead.py --width 16 --batch 32

SGD with momentum at rate 0.1 on noisy images of ten patterns, which are learned. Before each event the network is
trained for `--steps` steps; all norms are then above 1, most by several times. Reported are the median time of a plain
step, the time of each event, and the overhead, an event over a period of steps; and the largest norm before and after,
measured by `onelip.spectrum`, which shares no state with the clipper.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

import onelip
from onelip import models

IMAGE = (3, 32, 32)
PATTERN = 0.35


def seconds(action: Callable[[], object], device: str) -> float:
    """Return the wall time of a call."""
    for_all = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    for_all()
    start = time.perf_counter()
    action()
    for_all()
    return time.perf_counter() - start


def batch(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw images of coarse patterns, one for each class, in noise."""
    patterns = torch.randn(10, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(10, (size,), generator=generator)
    clean = interpolate(patterns[labels], size=IMAGE[1:], mode="bilinear")
    return PATTERN * clean + torch.randn(size, *IMAGE, generator=generator), labels


def largest_norm(model: torch.nn.Module, batch_norm: str) -> float:
    """Measure the norms of what is bounded, independently of the clipper."""
    rows = onelip.spectrum(model, IMAGE, joint=batch_norm == "joint").rows
    return max(row.largest for row in rows if batch_norm != "keep" or not row.kind.startswith("BatchNorm"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--period", type=int, default=100)
    parser.add_argument("--steps", type=int, default=12, help="steps of training before each event")
    parser.add_argument("--events", type=int, default=2)
    parser.add_argument("--batch-norm", default="keep", choices=("keep", "clip", "joint"))
    parser.add_argument("--event", default="fastclip", choices=("fastclip", "published"))
    args = parser.parse_args()

    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    options = {"layer": "plain", "activation": "relu", "batch_norm": True, "width": args.width}
    model = models.build("resnet18", input_shape=IMAGE, n_classes=10, **options).to(args.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
    batches = [[t.to(args.device) for t in batch(args.batch, generator)] for _ in range(args.steps)]
    clipper = onelip.SpectralClipper(model, 1.0, IMAGE, period=args.steps, batch_norm=args.batch_norm, event=args.event)

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()

    print(f"{len(clipper.parts)} parts on {args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("event   step [s]  event [s]  overhead at period", args.period, "  norm before   norm after", flush=True)
    for number in range(1, args.events + 1):
        steps = []
        for images, labels in batches:
            steps.append(seconds(lambda images=images, labels=labels: step(images, labels), args.device))
        before = largest_norm(model, args.batch_norm)
        for _ in batches[1:]:
            clipper.step()
        took = seconds(clipper.step, args.device)
        plain = statistics.median(steps)
        overhead = 100 * took / (args.period * plain)
        after = largest_norm(model, args.batch_norm)
        print(f"{number:5} {plain:10.4f} {took:10.4f} {overhead:18.1f} % {before:16.3f} {after:12.4f}", flush=True)


if __name__ == "__main__":
    main()
