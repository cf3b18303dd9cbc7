"""Measure what SpectralClipper adds to a step of training, in one process, in turn.

    python benchmarks/clip_overhead.py                                     ResNet18, 128 images a step
    python benchmarks/clip_overhead.py --device cuda
    python benchmarks/clip_overhead.py --width 16 --batch 32 --between 10

SGD with momentum on images of noise with random labels. Between two events lie as many steps as `--between` says; the
first event, of a fresh network, is left out. Reported are the median time of a plain step, the median time of an event,
and the overhead, an event over its period of steps. Fewer steps between events than the period make the run shorter;
the norms then have less time to grow, and an event has less to do.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

import onelip
from onelip import models

IMAGE = (3, 32, 32)


def seconds(action: Callable[[], object], device: str) -> float:
    """Return the wall time of a call."""
    for_all = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    for_all()
    start = time.perf_counter()
    action()
    for_all()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--period", type=int, default=100)
    parser.add_argument("--between", type=int, default=100)
    parser.add_argument("--events", type=int, default=3)
    parser.add_argument("--batch-norm", default="keep", choices=("keep", "clip", "joint"))
    parser.add_argument("--method", default="fastclip", choices=("fastclip", "published"))
    args = parser.parse_args()

    torch.manual_seed(0)
    options = {"layer": "plain", "activation": "relu", "batch_norm": True, "width": args.width}
    model = models.build("resnet18", input_shape=IMAGE, n_classes=10, **options).to(args.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
    images, labels = torch.randn(args.batch, *IMAGE), torch.randint(10, (args.batch,))
    images, labels = images.to(args.device), labels.to(args.device)
    clipper = onelip.SpectralClipper(
        model, 1.0, IMAGE, period=args.between, batch_norm=args.batch_norm, method=args.method
    )

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()

    steps: list[float] = []
    events: list[float] = []
    for event in range(args.events + 1):
        for _ in range(args.between - 1):
            steps.append(seconds(step, args.device))
            clipper.step()
        steps.append(seconds(step, args.device))
        largest = max(clipper.norms().values())
        took = seconds(clipper.step, args.device)
        print(
            f"event {event}: {took:.3f} s, largest norm {largest:.3f} -> {max(clipper.norms().values()):.3f}",
            flush=True,
        )
        events.append(took)
    plain, clip = statistics.median(steps), statistics.median(events[1:])
    overhead = 100 * clip / (args.period * plain)
    print(f"{len(clipper.parts)} parts on {args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"step {1e3 * plain:.1f} ms, event {1e3 * clip:.1f} ms, at a period of {args.period} steps {overhead:.1f} %")


if __name__ == "__main__":
    main()
