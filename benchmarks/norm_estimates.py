"""Compare the estimates of norms that the library has: value over the true norm, and milliseconds, for some layers.

    python -m benchmarks.norm_estimates               a table for each layer
    python -m benchmarks.norm_estimates --markdown    as in docs/norm-estimates.md

The true norm is by singular values of all frequencies for circular padding and of the matrix for small layers, else by
the block method to 1e-6, which is not above it. Times are the median of three calls.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import torch
from torch import nn

from onelip.spectral import NotApplicableError, norm_estimate, norm_estimates, singular_values

Shape = tuple[int, ...]


def layers() -> Iterator[tuple[str, nn.Module, Shape]]:
    """Layers as torch draws them."""
    torch.manual_seed(0)
    images = (64, 32, 32)
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    ring = nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular", bias=False)
    strided = nn.Conv2d(64, 128, 3, 2, 1, bias=False)
    reflected = nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect", bias=False)
    yield "64 to 64 channels, 3x3, zero padding, 32x32", conv, images
    yield "64 to 64 channels, 3x3, circular padding, 32x32", ring, images
    yield "64 to 128 channels, 3x3, stride 2, zero padding, 32x32", strided, images
    yield "16 to 16 channels, 5x5, zero padding, 8x8", nn.Conv2d(16, 16, 5, padding=2, bias=False), (16, 8, 8)
    yield "16 to 16 channels, 3x3, reflected padding, 8x8", reflected, (16, 8, 8)
    yield "dense, 512 to 400", nn.Linear(512, 400), (512,)


def truth(layer: nn.Module, shape: Shape) -> float:
    """The norm, to 1e-6."""
    layer = layer.double()
    try:
        return float(norm_estimate(layer, kind="exact", input_shape=shape))
    except NotApplicableError:
        return float(singular_values(layer, shape, tol=1e-6, max_iter=500).values[0])


def timed(layer: nn.Module, method: str, shape: Shape) -> tuple[float, float]:
    """A value, and the median of the milliseconds of three calls."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        value = float(norm_estimate(layer, method, shape))
        times.append((time.perf_counter() - start) * 1e3)
    return value, statistics.median(times)


def rows(layer: nn.Module, shape: Shape) -> Iterator[tuple[str, ...]]:
    """One row for each method that makes a claim about a layer, the widest bounds last."""
    norm = truth(layer, shape)
    found = []
    for name, method in norm_estimates().items():
        if name == "power-dense" and not isinstance(layer, nn.Linear):
            continue
        try:
            value, milliseconds = timed(layer, name, shape)
        except NotApplicableError:
            continue
        found.append((value / norm - 1, name, method.kind, milliseconds))
    order = ("exact", "lower", "upper")
    for excess, name, kind, milliseconds in sorted(found, key=lambda r: (order.index(r[2]), abs(r[0]))):
        yield name, kind, f"{excess:+.1e}", f"{milliseconds:.3g}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true")
    markdown = parser.parse_args().markdown
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for title, layer, shape in layers():
        print(f"\n{'### ' if markdown else ''}{title}\n")
        cells = [("method", "kind", "value / norm - 1", "ms"), *rows(layer, shape)]
        if markdown:
            cells.insert(1, ("---",) * 4)
        for row in cells:
            print("| " + " | ".join(row) + " |" if markdown else "".join(f"{cell:<20}" for cell in row), flush=True)


if __name__ == "__main__":
    main()
