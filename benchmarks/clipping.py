"""Methods that clip the singular values of a convolution: time, norm, move of the weights, rise of a singular value.

python benchmarks/clipping.py --markdown
python benchmarks/clipping.py --quick
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import onelip
from onelip.spectral import senderovich_, singular_values

LARGEST_DENSE = 1600


def values(conv: nn.Conv2d, shape: tuple[int, int, int]) -> Tensor:
    """All singular values, from the matrix, where it is small; else the largest two."""
    n = torch.Size(shape).numel()
    if n > LARGEST_DENSE:
        return singular_values(conv, shape, 2, 2e-4, max_iter=600).values
    wide = copy.deepcopy(conv).double()
    torch.nn.init.zeros_(wide.bias)
    with torch.no_grad():
        columns = wide(torch.eye(n, dtype=torch.float64).reshape(n, *shape)).flatten(1)
    return torch.linalg.svdvals(columns)


def published_events(conv: nn.Conv2d, max_norm: float, shape: tuple[int, int, int], most: int) -> int:
    """The published rule: five gradient steps of 0.35 on the top triplet, until the norm is within 2 %."""
    for event in range(most):
        top = singular_values(conv, shape, 1, 1e-3)
        sigma, vector = float(top.values[0]), top.right
        if sigma <= 1.02 * max_norm:
            return event
        with torch.no_grad():
            zero = torch.zeros_like(vector)
            wanted = (conv(vector) - conv(zero)) * max_norm / sigma
        for _ in range(5):
            with torch.enable_grad():
                loss = (conv(vector) - conv(zero) - wanted).square().sum() / wanted.shape[-1]
                (gradient,) = torch.autograd.grad(loss, conv.weight)
            with torch.no_grad():
                conv.weight -= 0.35 * gradient
    return most


def methods(size: int, most: int) -> dict[str, Callable[[nn.Conv2d, float, tuple[int, int, int]], object]]:
    """Name to method."""
    found: dict[str, Callable[[nn.Conv2d, float, tuple[int, int, int]], object]] = {
        name: lambda conv, c, shape, name=name: onelip.clip_(conv, c, shape, method=name)
        for name in ("fastclip", "exact-dense", "fft", "scale")
        if name != "exact-dense" or size <= LARGEST_DENSE // 4
    }
    found["fft, one crop (published)"] = senderovich_
    found["fastclip events (published)"] = lambda conv, c, shape: published_events(conv, c, shape, most)
    return found


def row(name: str, run: Callable[..., object], conv: nn.Conv2d, shape: tuple[int, int, int], c: float) -> str:
    """One line of the table."""
    clipped = copy.deepcopy(conv)
    before = values(conv, shape)
    start = time.perf_counter()
    result = run(clipped, c, shape)
    seconds = time.perf_counter() - start
    after = values(clipped, shape)
    change = float(((clipped.weight - conv.weight).norm() / conv.weight.norm()).detach())
    rise = f"{float((after - before).max()):+.1e}" if len(after) > 4 else "-"
    label = f"{name}, {result} events" if isinstance(result, int) and "events" in name else name
    return f"| {label} | {seconds:.2f} s | {float(after[0]) / c:.4f} | {change:.4f} | {rise} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small layers only")
    parser.add_argument("--markdown", action="store_true", help="with headings")
    parser.add_argument("--events", type=int, default=40, help="published events at most")
    arguments = parser.parse_args()
    cases = [(4, 8, 0.5), (4, 8, 1.0)] if arguments.quick else [(4, 8, 0.5), (4, 8, 1.0), (64, 32, 0.5), (64, 32, 1.0)]
    for channels, n, c in cases:
        torch.manual_seed(0)
        conv, shape = nn.Conv2d(channels, channels, 3, padding=1), (channels, n, n)
        print(f"\n{'### ' if arguments.markdown else ''}{channels} channels, 3x3, {n}x{n}, zeros, to {c}\n")
        print(
            "| method | time | norm / bound | move of the weights | largest rise of a value |\n"
            "| --- | --- | --- | --- | --- |"
        )
        for name, run in methods(torch.Size(shape).numel(), arguments.events).items():
            print(row(name, run, conv, shape, c), flush=True)


if __name__ == "__main__":
    main()
