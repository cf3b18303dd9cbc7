"""Train ConvNet-XS with every convolution method for 50 steps on 512 digits, in float32 and under bfloat16 autocast.

    python benchmarks/convnet_methods.py                    every method
    python benchmarks/convnet_methods.py aoc cayley --device cuda

Prints the loss on the 512 images before and after, in eval mode and full precision, and the proved constant of the
network before the first step, after half of them and at the end. Exit code 1 if a loss does not fall, or a constant
exceeds 1.0001. For methods that are 1-Lipschitz in the maximum norm the constant is that norm's.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import time
import traceback
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import onelip
from onelip import data, layers, losses, models
from onelip.layers import ConstrainedModule

STEPS, IMAGES, BATCH = 50, 512, 128
LARGEST = 1.0001
RATE = 0.03
SHAPE = (1, 32, 32)


def digits() -> tuple[Tensor, Tensor]:
    """The first 512 training images, enlarged to the 32x32 pixels that five halvings need."""
    train = data.load("digits").train
    pixels = train.pixels(slice(0, IMAGES))
    return F.interpolate(pixels, size=SHAPE[1:], mode="nearest"), train.labels[:IMAGES]


def constant(model: nn.Module, norm: str) -> float:
    """The proved constant of the network in the norm of its method."""
    if norm == "l2":
        bound = onelip.lipschitz_bound(model, SHAPE)
        if not bound.proved:
            raise RuntimeError(f"the constant is not proved: {bound}")
        return bound.value
    # Every other part of this network permutes, drops or compares entries, or adds a bias.
    found = [m.linf_bound() for m in model.modules() if isinstance(m, ConstrainedModule) and hasattr(m, "linf_bound")]
    if not found or not all(b.proved for b in found):
        raise RuntimeError("the constant in the maximum norm is not proved")
    return math.prod(b.value for b in found)


def train(name: str, *, bfloat16: bool, device: str, images: Tensor, labels: Tensor) -> tuple[list[float], float]:
    """Train one network.

    Returns:
        The loss before and after and the constants at the start, half-way and at the end; then seconds per step.
    """
    torch.manual_seed(0)
    record = layers.record("conv2d", name)
    linear = {"linf": "l-infinity"}.get(record.norm)
    model = models.build("convnet-xs", input_shape=SHAPE, n_classes=10, layer=name, linear=linear).to(device)
    loss = losses.build("offset-cross-entropy", margin=0.3993, temperature=0.25)
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, nesterov=True)

    def total() -> float:
        model.eval()
        with torch.no_grad():
            value = float(loss(torch.cat([model(x) for x in images.split(BATCH)]), labels))
        model.train()
        return value

    figures = [total(), constant(model, record.norm)]
    elapsed = 0.0
    for step in range(STEPS):
        chosen = torch.arange(step * BATCH, (step + 1) * BATCH, device=device) % len(images)
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16):
            logits = model(images[chosen])
        value = loss(logits.float(), labels[chosen])
        value.backward()
        optimizer.step()
        layers.retract_(model)
        if not math.isfinite(float(value.detach())):
            raise FloatingPointError(f"the loss is {float(value.detach())} at step {step}")
        elapsed += time.perf_counter() - start
        if step == STEPS // 2:
            figures.append(constant(model, record.norm))
    figures += [constant(model, record.norm), total()]
    before, first, middle, last, after = figures
    return [before, after, first, middle, last], elapsed / STEPS


def machine(device: str) -> str:
    """What the figures were measured on."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    cpu = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    return (
        f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )


def main() -> None:
    """Train with the methods asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="methods, all by default")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    images, labels = (t.to(options.device) for t in digits())
    print(f"{STEPS} steps of {BATCH} images, SGD {RATE}; {machine(options.device)}")
    print("| method | precision | loss before | after | constant before | half-way | after | s per step |")
    print("|---|---|---|---|---|---|---|---|")
    failures = []
    for name in options.names or layers.available("conv2d"):
        for bfloat16 in (False, True):
            precision = "bf16" if bfloat16 else "float32"
            try:
                figures, seconds = train(name, bfloat16=bfloat16, device=options.device, images=images, labels=labels)
            except Exception:
                traceback.print_exc()
                failures.append(f"{name} {precision}: raised")
                continue
            before, after, *constants = figures
            row = [f"{before:.4f}", f"{after:.4f}", *(f"{c:.7g}" for c in constants), f"{seconds:.3f}"]
            print(f"| {name} | {precision} | " + " | ".join(row) + " |", flush=True)
            if not after < before or max(constants) > LARGEST:
                failures.append(f"{name} {precision}: {row}")
    if failures:
        sys.exit("\n".join(["FAILED", *failures]))


if __name__ == "__main__":
    main()
