"""Time the proofs of whole networks, their certificates and the evaluation of 10,000 images in float64.

    python benchmarks/proof_speed.py                          everything: about twenty minutes on two cores
    python benchmarks/proof_speed.py convnet-s --methods aoc cayley
    python benchmarks/proof_speed.py bronet certify --markdown
    python benchmarks/proof_speed.py liresnet --spread 20

Prints for each network the parameters, the seconds to build the plain form, to prove it and to prove the model itself,
the proved constant, and how far that is above the product of the layers' norms by power iteration (a lower estimate
of what the proof bounds). Processor seconds, over all threads, are in brackets. Medians of `--repeats` proofs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import onelip
from onelip import models
from onelip.certify import verify

METHODS = ("aoc", "aol", "cpl", "sll", "soc", "cayley", "bcop")
SHAPE = (3, 32, 32)
NETWORKS = ("convnet-xs", "convnet-s", "convnet-l")
RECORDS = ("liresnet", "bronet", "lipnext")


@dataclass
class Timed:
    """Wall and processor seconds, and what was computed."""

    wall: float
    processor: float
    result: object

    def __str__(self) -> str:
        return f"{self.wall:.2f} ({self.processor:.2f})"


def timed(function: Callable[[], object], repeats: int = 1) -> Timed:
    """Run a function and take medians."""
    walls, processors, result = [], [], None
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return Timed(statistics.median(walls), statistics.median(processors), result)


def record(name: str, spread: float) -> nn.Sequential:
    """A network of the records for CIFAR-10, as it starts, or with raw kernels of its blocks multiplied by a number."""
    model = models.build(name, input_shape=SHAPE, n_classes=10).eval()
    if spread != 1.0:
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if key.endswith("conv.raw_weight"):
                    parameter.mul_(spread)
    return model


def to_plain_by_parts(model: nn.Sequential) -> nn.Sequential:
    """Build the plain form and let go of each layer's spectrum once it is stored: half the memory."""
    x = torch.zeros(1, *SHAPE)
    plain = []
    for i, layer in enumerate(model):
        with torch.no_grad():
            x = layer(x)
        plain.append(onelip.to_plain(layer))
        model[i] = nn.Identity()
    return nn.Sequential(*plain).eval()


def power_iteration(layer: nn.Module, shape: tuple[int, ...], steps: int = 30) -> float:
    """Estimate the norm of the linear part of a layer from below."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, *shape, generator=generator)
    offset = layer(torch.zeros_like(x))
    norm = 0.0
    for _ in range(steps):
        x = (x / x.norm()).requires_grad_(True)
        y = layer(x) - offset
        (back,) = torch.autograd.grad(y, x, y.detach())
        norm, x = float(y.detach().norm()), back
    return norm


def looseness(plain: nn.Module, bound: onelip.NetworkBound) -> float | None:
    """Relative excess over the product of lower estimates of the layers, if all but exact ones are linear."""
    product = 1.0
    for row in bound.layers:
        module = dict(plain.named_modules()).get(row.name)
        if module is None or not any(True for _ in module.parameters()):
            continue
        if row.kind in ("GradientResidual1d", "GradientResidual2d"):
            return None
        product *= power_iteration(module, row.input_shape)
    return bound.value / product - 1


def report(name: str, model: nn.Sequential, row: Callable[..., None], repeats: int, whole: bool) -> None:
    """Time one network."""
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    frozen = timed(lambda: to_plain_by_parts(model) if not whole else _plain(model))
    plain = frozen.result
    assert isinstance(plain, nn.Module)
    proof = timed(lambda: onelip.lipschitz_bound(plain, SHAPE), repeats)
    bound = proof.result
    assert isinstance(bound, onelip.NetworkBound)
    itself = timed(lambda: onelip.lipschitz_bound(model, SHAPE)) if whole else None
    gap = looseness(plain, bound) if parameters < 10 else None
    proved = f"{bound.value:.9f}" + ("" if bound.proved else " (not proved)")
    row(name, f"{parameters:.1f} M", frozen, proof, itself or "", proved, "" if gap is None else f"{gap:.1e}")


def _plain(model: nn.Module) -> nn.Module:
    # Fourier layers are tied to the image size that they saw.
    with torch.no_grad():
        model(torch.zeros(1, *SHAPE))
    return onelip.to_plain(model)


def certify_and_verify(row: Callable[..., None], methods: Iterable[str], n_images: int) -> None:
    """Time certificates of `n_images` random images, and the independent check of their proofs."""
    for method in methods:
        torch.manual_seed(0)
        model = models.build("convnet-xs", input_shape=SHAPE, n_classes=10, layer=method).eval()
        plain = _plain(model)
        images = torch.rand(n_images, *SHAPE)
        with torch.no_grad():
            labels = torch.cat([plain(part).argmax(1) for part in images.split(256)])
        made = timed(lambda plain=plain, images=images, labels=labels: onelip.certify(plain, images, labels))
        certificate = made.result
        assert isinstance(certificate, onelip.Certificate)
        with tempfile.TemporaryDirectory() as folder:
            few = onelip.certify(plain, images[:4], labels[:4])
            few.save(Path(folder))
            checked = timed(lambda folder=folder: verify(Path(folder) / "certificate.json"))
        row(f"convnet-xs {method}", f"{n_images}", made, checked)


def printer(markdown: bool, *header: str) -> Callable[..., None]:
    """Print a table row by row."""

    def row(*cells: object) -> None:
        texts = [str(cell) for cell in cells]
        if markdown:
            print("| " + " | ".join(texts) + " |", flush=True)
        else:
            print("  ".join(f"{text:<18}" for text in texts), flush=True)

    row(*header)
    if markdown:
        row(*("---" for _ in header))
    return row


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*NETWORKS, *RECORDS, "certify"])
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--spread", type=float, default=1.0, help="of the kernels of LiResNet, 20 is like trained ones")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; wall (processor) seconds\n")
    networks = [part for part in options.parts if part in NETWORKS]
    records = [part for part in options.parts if part in RECORDS]
    if networks or records:
        columns = ("network", "parameters", "plain form s", "proof s", "of the model s", "constant", "above estimate")
        row = printer(options.markdown, *columns)
        for name in networks:
            for method in options.methods:
                torch.manual_seed(0)
                model = models.build(name, input_shape=SHAPE, n_classes=10, layer=method).eval()
                report(f"{name} {method}", model, row, options.repeats, whole=name != "convnet-l")
        for name in records:
            torch.manual_seed(0)
            report(name, record(name, options.spread), row, 1, whole=False)
        print()
    if "certify" in options.parts:
        row = printer(options.markdown, "network", "images", "certify s", "onelip verify s")
        certify_and_verify(row, options.methods, options.images)


if __name__ == "__main__":
    main()
