"""Time the largest singular value of a convolution to 1e-3, ours and others in one process, in turn.

    python benchmarks/singular_values.py                     this CPU
    python benchmarks/singular_values.py --threads 1
    python benchmarks/singular_values.py --device cuda

FFT and SVD is of the circular convolution of the same kernel, whatever the padding (Sedghi, Gupta and Long 2019,
arXiv:1805.10408): with torch on half of the frequencies, as the kernel is real, and with NumPy on all, as published.
PowerQR is `onelip.spectral.power_qr`; its steps are the fewest that reach an error of 1e-3, which it does not know
itself. The error is against the value found with a tolerance of 1e-6 from random directions alone.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from onelip.spectral import AffineMap, SingularValues, power_qr, singular_values

TOLERANCE = 1e-3
REPEATS = 9
MOST_STEPS = 1000

CASES: dict[str, tuple[Callable[[], nn.Conv2d], int]] = {
    "64 channels, 32x32": (lambda: nn.Conv2d(64, 64, 3, padding=1), 32),
    "64 channels, 32x32, circular": (lambda: nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular"), 32),
    "64 channels, 32x32, reflect": (lambda: nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"), 32),
    "64 to 128 channels, 32x32, stride 2": (lambda: nn.Conv2d(64, 128, 3, stride=2, padding=1), 32),
    "128 channels, 16x16": (lambda: nn.Conv2d(128, 128, 3, padding=1), 16),
    "3 to 64 channels, 7x7 kernel, 64x64, stride 2": (lambda: nn.Conv2d(3, 64, 7, stride=2, padding=3), 64),
    "16 channels, 5x5 kernel, 32x32": (lambda: nn.Conv2d(16, 16, 5, padding=2), 32),
}


def polyphase(conv: nn.Conv2d, size: int) -> torch.Tensor:
    """Spread the taps over the image, with the phases of the stride as channels (Senderovich et al. 2022)."""
    s, k = conv.stride[0], conv.kernel_size[0]
    spread = F.pad(conv.weight.detach(), (0, size - k, 0, size - k))
    return F.pixel_unshuffle(spread, s) if s > 1 else spread


def fft_svd_torch(conv: nn.Conv2d, size: int) -> float:
    """Half of the frequencies, values only."""
    symbols = torch.fft.rfft2(polyphase(conv, size)).permute(2, 3, 0, 1).flatten(0, 1)
    return float(torch.linalg.svdvals(symbols)[:, 0].max())


def fft_svd_numpy(conv: nn.Conv2d, size: int) -> float:
    """All frequencies, values only, as published."""
    symbols = np.fft.fft2(polyphase(conv, size).permute(2, 3, 0, 1).cpu().numpy(), axes=(0, 1))
    return float(np.linalg.svd(symbols, compute_uv=False).max())


def steps_of_power_qr(conv: nn.Conv2d, size: int, true: float) -> int:
    """The fewest steps to the tolerance."""
    operator, start, steps = AffineMap(conv, (conv.in_channels, size, size)), None, 0
    while steps < MOST_STEPS:
        found = power_qr(operator, n_iter=1, start=start)
        start, steps = found.right, steps + 1
        if float(found.values[0]) >= (1 - TOLERANCE) * true:
            return steps
    return MOST_STEPS


def timed(functions: dict[str, Callable[[], object]], device: str) -> dict[str, float]:
    """Median milliseconds of each, one after the other, round after round."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(REPEATS + 1):
        for name, function in functions.items():
            if len(times[name]) >= 3 and sum(times[name]) > 5.0:
                continue
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            function()
            if device == "cuda":
                torch.cuda.synchronize()
            # The first round warms up.
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) * 1e3 for name, each in times.items()}


def compare(make: Callable[[], nn.Conv2d], size: int, device: str) -> list[str]:
    """Cells of one row."""
    torch.manual_seed(0)
    conv = make().to(device)
    shape = (conv.in_channels, size, size)
    random = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))
    true = float(singular_values(conv, shape, tol=1e-6, max_iter=2000, start=random).values[0])
    found: SingularValues = singular_values(conv, shape, tol=TOLERANCE)
    steps = steps_of_power_qr(conv, size, true)
    functions: dict[str, Callable[[], object]] = {
        "ours": lambda: singular_values(conv, shape, tol=TOLERANCE),
        "torch": lambda: fft_svd_torch(conv, size),
        "power": lambda: power_qr(conv, shape, n_iter=steps),
    }
    if device == "cpu":
        functions["numpy"] = lambda: fft_svd_numpy(conv, size)
    spent = timed(functions, device)
    ours = spent["ours"]
    others = [f"{spent[n]:.4g} ms, {spent[n] / ours:.3g}x" if n in spent else "" for n in ("torch", "numpy", "power")]
    error = float(found.values[0]) / true - 1
    fft_error = fft_svd_torch(conv, size) / true - 1
    return [
        f"{ours:.3g} ms",
        f"{error:+.1e}",
        str(found.n_iter),
        others[0],
        f"{fft_error:+.1e}",
        *others[1:],
        str(steps),
    ]


def kind_of_machine(device: str) -> str:
    """Say what it ran on, without naming the machine."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, help="of torch on the CPU; its default otherwise")
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the shapes")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"Measured: {kind_of_machine(options.device)}\n")
    header = [
        "convolution",
        "onelip",
        "its error",
        "its steps",
        "FFT and SVD, torch",
        "its error",
        "FFT and SVD, NumPy",
        "PowerQR",
        "its steps",
    ]
    print(f"| {' | '.join(header)} |\n| {' | '.join('---' for _ in header)} |")
    for name, (make, size) in list(CASES.items())[: options.cases]:
        print(f"| {name} | {' | '.join(compare(make, size, options.device))} |", flush=True)


if __name__ == "__main__":
    main()
