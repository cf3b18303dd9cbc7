"""Compare the bounds of this library with those of the field: seconds and looseness, in one process, in turn.

    python benchmarks/bounds.py                        kernels and networks
    python benchmarks/bounds.py kernels --quick        small kernels only
    python benchmarks/bounds.py --markdown > tables.md

Kernels: the value over the best reference (for circular padding the norm by FFT and SVD, for zeros 2000 steps of power
iteration, itself below the norm) minus 1, and seconds. Networks: constants of random ReLU networks, and times on the
shapes of published certifiers. The LipSDP column needs cvxpy and is left out without it.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

import onelip
from kernel_references import METHODS, Case, fft_svd, power_iteration
from onelip import layers
from onelip.certify.checker.constants import step_constant
from onelip.certify.checker.network import Step
from onelip.certify.checker.verification import CONSTANT_TOLERANCE
from onelip.certify.export import freeze
from onelip.linalg import conv_norm_bound

SHAPES = ((16, 3, 32), (16, 5, 16), (64, 3, 16), (64, 5, 8), (128, 3, 8))
"""Channels, kernel, image."""

NETWORKS = ((16, 96, 10), (32, 64, 64, 10), (64, 128, 128, 10))
PUBLISHED = {
    "MNIST": ((784, *[128] * 8, 10), "16 to 17 min", "1005 s"),
    "CIFAR-10": ((3072, 512, 256, *[128] * 6, 10), "20 to 40 h", "64,766 s"),
}
"""Widths, and published times for the bounds: Dafny (arXiv:2505.06958) and exact rationals (arXiv:2603.13334)."""

Row = Callable[..., None]


def seconds(function: Callable[[], float], repeats: int = 3) -> tuple[float, float]:
    """Return a function's value and the median of its wall times; slow ones run once."""
    times: list[float] = []
    value = 0.0
    while len(times) < repeats and sum(times) < 2.0:
        start = time.perf_counter()
        value = function()
        times.append(time.perf_counter() - start)
    return value, statistics.median(times)


def kernels(channels: int, size: int) -> Iterator[tuple[str, Tensor]]:
    """Kernels of four kinds."""
    torch.manual_seed(0)
    shape = (channels, channels, size, size)
    yield "Gaussian", torch.randn(shape) / (channels * size**2) ** 0.5
    # Singular values that fall off, as after training.
    left, right = (torch.linalg.qr(torch.randn(channels * s, channels))[0] for s in (1, size**2))
    decay = torch.arange(1.0, channels + 1).rsqrt()
    yield "decaying", ((left * decay) @ right.mT).reshape(channels, channels, size, size)
    for name in ("AOC", "AOL"):
        layer = getattr(layers, f"{name}Conv2d")(channels, channels, size, padding=size // 2, padding_mode="circular")
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.3 * parameter.std(correction=0) * torch.randn_like(parameter))
        plain = layer.eval().to_plain()
        yield name, plain.weight.detach()


def _conv(case: Case) -> nn.Conv2d:
    out, inner, k, _ = case.kernel.shape
    conv = nn.Conv2d(inner, out, k, padding=k // 2, padding_mode=case.mode, bias=False)
    with torch.no_grad():
        conv.weight.copy_(case.kernel)
    return conv.eval()


def ours(case: Case) -> float:
    """The default: at the image's size, where that is tighter."""
    conv = _conv(case)
    return onelip.lipschitz_bound(conv, (conv.in_channels, case.size, case.size)).value


def ours_size_free(case: Case) -> float:
    """For every image size at once."""
    return conv_norm_bound(_conv(case).weight).value


def checked(case: Case, claimed: float) -> float:
    """The independent checker's proof of a claimed bound, in NumPy."""
    shape = (case.kernel.shape[1], case.size, case.size)
    node = freeze(nn.Sequential(_conv(case)), shape).network.nodes[0]
    arrays = {role: np.asarray(tensor.numpy(), dtype=np.float64) for role, tensor in node.tensors.items()}
    step = Step(node.name, node.op, node.inputs, node.attributes, arrays, claimed, None)
    return step_constant(step, (1, *shape), CONSTANT_TOLERANCE)


def kernel_tables(table: Callable[..., Row], quick: bool) -> None:
    """One table for each shape and padding."""
    for channels, size, image in SHAPES[:2] if quick else SHAPES:
        for mode in ("circular", "zeros"):
            title = f"{channels} channels, {size}x{size}, images {image}x{image}, {mode} padding"
            cases = [Case(name, k.double(), image, mode) for name, k in kernels(channels, size)]
            references = [fft_svd(c) if mode == "circular" else power_iteration(c, 2000) for c in cases]
            row = table(title, "bound", "is it one?", *(f"{case.name}" for case in cases))
            proofs = [seconds(lambda case=case: ours(case)) for case in cases]
            results = {
                "onelip": ("PROVED", proofs),
                "onelip, every size": ("PROVED", [seconds(lambda c=case: ours_size_free(c)) for case in cases]),
                "onelip verify": (
                    "PROVED",
                    [
                        seconds(lambda c=case, v=value: checked(c, v))
                        for case, (value, _) in zip(cases, proofs, strict=True)
                    ],
                ),
            }
            for name, (kind, method) in METHODS.items():
                results[name] = (kind, [seconds(lambda c=case, m=method: m(c)) for case in cases])
            for name, (kind, values) in results.items():
                pairs = zip(values, references, strict=True)
                row(name, kind, *(f"{v / r - 1:+.1e}, {t * 1e3:.3g} ms" for (v, t), r in pairs))


def mlp(widths: tuple[int, ...]) -> nn.Sequential:
    """A random ReLU network."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        parts += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*parts[:-1]).eval()


def lip_sdp(model: nn.Sequential) -> tuple[float, float]:
    """LipSDP-Neuron (Fazlyab et al. 2019, arXiv:1906.04893) by SCS.

    With v the input and all hidden values, minimise r subject to
    [A; B]^T [[0, T], [T, -2 T]] [A; B] + W^T W (of the last layer) - r I (of the input) <= 0, A v before the
    activations, B v after, T >= 0 diagonal; the constant is sqrt(r).

    Returns:
        The constant, and by how much the largest eigenvalue of the matrix is above 0 in the end: a solver's answer is
        no proof.
    """
    import cvxpy as cp

    weights = [m.weight.detach().double().numpy() for m in model if isinstance(m, nn.Linear)]
    inner, last = weights[:-1], weights[-1]
    inputs, hidden = inner[0].shape[1], sum(len(w) for w in inner)
    before, after = np.zeros((hidden, inputs + hidden)), np.zeros((hidden, inputs + hidden))
    after[:, inputs:] = np.eye(hidden)
    row = column = 0
    for w in inner:
        before[row : row + len(w), column : column + w.shape[1]] = w
        row, column = row + len(w), column + w.shape[1]
    end = np.zeros((inputs + hidden, inputs + hidden))
    end[-last.shape[1] :, -last.shape[1] :] = last.T @ last
    start = np.zeros_like(end)
    start[:inputs, :inputs] = np.eye(inputs)
    rho, multipliers = cp.Variable(nonneg=True), cp.Variable(hidden, nonneg=True)
    scaled = cp.diag(multipliers)
    cross = before.T @ scaled @ after
    matrix = cross + cross.T - 2 * after.T @ scaled @ after + end - rho * start
    cp.Problem(cp.Minimize(rho), [matrix << 0]).solve(solver=cp.SCS, max_iters=20000, eps=1e-6)
    return float(np.sqrt(rho.value)), float(np.linalg.eigvalsh((matrix.value + matrix.value.T) / 2)[-1])


def tightened(model: nn.Module, width: int, steps: int | None) -> tuple[float, float, float]:
    """Bound a dense network by the product and as a whole.

    Args:
        model: The network.
        width: Its inputs.
        steps: Gradient steps of the search.

    Returns:
        Both constants, and milliseconds for both.
    """
    start = time.perf_counter()
    bound = onelip.lipschitz_bound(model, (width,), search_steps=steps)
    return bound.value, bound.best.value, (time.perf_counter() - start) * 1e3


def network_table(table: Callable[..., Row]) -> None:
    """Constants of small dense ReLU networks."""
    has_sdp = importlib.util.find_spec("cvxpy") is not None
    if not has_sdp:
        print("LipSDP is left out: cvxpy is not installed.\n")
    title = "Dense ReLU networks, weights as torch draws them"
    header = (
        "product (PROVED)",
        "closed form (PROVED)",
        "with a search (PROVED)",
        "LipSDP-Neuron (SCS)",
        "its violation",
    )
    row = table(title, "network", *header)
    for widths in NETWORKS:
        model = mlp(widths)
        tightened(model, widths[0], 0)
        closed, searched = (tightened(model, widths[0], steps) for steps in (0, None))
        cells = ["", ""]
        if has_sdp:
            start = time.perf_counter()
            value, violation = lip_sdp(model)
            cells = [f"{value:.5f}, {time.perf_counter() - start:.3g} s", f"{violation:+.1e}"]
        row(
            "-".join(map(str, widths)),
            f"{closed[0]:.5f}",
            *(f"{b:.5f}, {t:.3g} ms" for _, b, t in (closed, searched)),
            *cells,
        )


def published_table(table: Callable[..., Row]) -> None:
    """Times on the shapes of certifiers in exact arithmetic; theirs are published, not measured here."""
    title = "Bounds of the networks of exact-rational certifiers (theirs as published, on other machines)"
    header = ("network", "onelip", "verified in Dafny (arXiv:2505.06958)", "exact rationals (arXiv:2603.13334)")
    row = table(title, *header)
    for name, (widths, dafny, rationals) in PUBLISHED.items():
        model = mlp(widths)
        _, spent = seconds(lambda m=model, w=widths: onelip.lipschitz_bound(m, (w[0],), search_steps=0).value)
        row(f"{name}, {'-'.join(map(str, widths))}", f"{spent * 1e3:.3g} ms", dafny, rationals)


def printer(markdown: bool) -> Callable[..., Row]:
    """Return a function that starts a table and returns one that prints a row."""

    def table(title: str, *header: str) -> Row:
        def row(*cells: str) -> None:
            line = "| " + " | ".join(cells) + " |" if markdown else "  ".join(f"{c:<28}" for c in cells)
            print(line, flush=True)

        print(f"\n{'### ' if markdown else ''}{title}\n")
        row(*header)
        if markdown:
            row(*("---" for _ in header))
        return row

    return table


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["kernels", "networks"])
    parser.add_argument("--quick", action="store_true", help="small kernels only")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    table = printer(options.markdown)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    if "kernels" in options.parts:
        kernel_tables(table, options.quick)
    if "networks" in options.parts:
        network_table(table)
        published_table(table)


if __name__ == "__main__":
    main()
