"""Certified accuracy of ordinary networks by linear relaxation, beside that of 1-Lipschitz ones by their constant.

Dense networks of the same shape are trained on the handwritten digits, each in under a minute: with Bjorck layers and
MaxMin, and ordinary ones with ReLU, without and with weight decay. The test images are then attacked, and certified by
the constant and by each relaxation. Run from the repository:

    python -m benchmarks.relaxation --epochs 60 --samples 120
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import onelip
from onelip.attacks import l2_pgd
from onelip.certify import Certificate, Relaxation, relaxed_margins, relaxed_radii
from onelip.data import load
from onelip.layers import retract_, to_plain
from onelip.losses import OffsetCrossEntropy
from onelip.models import build

L2 = (0.1, 0.25, 0.5, 1.0)
LINF = (1 / 255, 2 / 255, 4 / 255, 8 / 255)
WIDTHS = (192, 192, 192)

Loss = Callable[[nn.Module, Tensor, Tensor, float], Tensor]


def ordinary_loss(model: nn.Module, x: Tensor, y: Tensor, progress: float) -> Tensor:
    """Cross-entropy.

    Args:
        model: The network.
        x: Images.
        y: Labels.
        progress: Part of the training that is over.

    Returns:
        The loss.
    """
    return F.cross_entropy(model(x), y)


def margin_loss(model: nn.Module, x: Tensor, y: Tensor, progress: float) -> Tensor:
    """Cross-entropy with the offset of the demonstration.

    Args:
        model: The network.
        x: Images.
        y: Labels.
        progress: Part of the training that is over.

    Returns:
        The loss.
    """
    return OffsetCrossEntropy(margin=0.95, temperature=0.07)(model(x), y)


def train(model: nn.Module, loss: Loss, *, epochs: int, rate: float, decay: float = 0.0) -> nn.Module:
    """Train on the digits.

    Args:
        model: The network.
        loss: Of the network, images, labels and the part of the training that is over.
        epochs: How often each image is seen.
        rate: Largest learning rate.
        decay: Weight decay.

    Returns:
        The network made of plain modules.
    """
    images = load("digits").train
    x, y = images.pixels(), images.labels
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)
    n_steps = epochs * (len(x) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, n_steps)
    step = 0
    for _ in range(epochs):
        for index in torch.randperm(len(x))[: len(x) // 128 * 128].split(128):
            optimizer.zero_grad()
            loss(model, x[index], y[index], step / n_steps).backward()
            optimizer.step()
            schedule.step()
            retract_(model)
            step += 1
    return to_plain(model.eval())


def linf_pgd(model: nn.Module, x: Tensor, y: Tensor, radius: float, *, steps: int = 40, restarts: int = 5) -> Tensor:
    """Attack in the l-infinity ball by signed gradient steps.

    Args:
        model: The network.
        x: Images in [0, 1].
        y: Labels.
        radius: Of the ball.
        steps: Of each start.
        restarts: Number of starts.

    Returns:
        Which images keep their right answer.
    """
    kept = model(x).argmax(1) == y
    for _ in range(restarts):
        point = (x + radius * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
        for _ in range(steps):
            point = point.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(model(point), y, reduction="sum"), point)
            point = (point + 2.5 * radius / steps * gradient.sign()).clamp(x - radius, x + radius).clamp(0, 1).detach()
            kept &= model(point).argmax(1) == y
    return kept


def share(values: Tensor) -> str:
    """Write the mean of truth values.

    Args:
        values: bool.

    Returns:
        In per cent.
    """
    return f"{100 * float(values.double().mean()):5.1f}"


def rows(name: str, model: nn.Module, n_samples: int) -> None:
    """Print the table of one network.

    Args:
        name: Of the network.
        model: Made of plain modules.
        n_samples: How many test images, spread evenly.
    """
    data = load("digits").test
    data = data.subset(torch.arange(n_samples) * len(data) // n_samples)
    x, y = data.pixels(), data.labels
    certificate = onelip.certify(model, data.images, data.labels, scale=data.scale)
    by_constant = torch.from_numpy(certificate.radii)
    print(f"\n{name}: clean {share(model(x).argmax(1) == y)} %, constant {certificate.bound.value:.4g}")
    attacked = [share(model(l2_pgd(model, x, y, r)).argmax(1) == y) for r in L2]
    attacked += [share(linf_pgd(model, x, y, r)) for r in LINF]
    print(f"{'PGD':34}", *attacked)
    # An l-infinity ball is in the l2 ball of 8 times the radius.
    shares = [share(by_constant > r) for r in L2] + [share(by_constant > 8 * r) for r in LINF]
    print(f"{'constant':34}", *shares)
    for method, constants in (("ibp", False), ("crown-ibp", False), ("kw", False), ("crown", False), ("crown", True)):
        title = f"{method}{' with constants' if constants else ''}"
        relaxed(title, certificate, x, y, method, constants)
    began = time.process_time()
    radii = relaxed_radii(certificate.network, x, y)
    seconds = time.process_time() - began
    right = by_constant > 0
    gain = (radii / by_constant)[right]
    print(
        f"radii: relaxation larger for {share((radii > by_constant)[right])} %, in the median {gain.median():.3f} "
        f"times, median radius {radii.median():.3f} beside {by_constant.median():.3f}, "
        f"{1e3 * seconds / len(x):.1f} ms an image"
    )


def relaxed(title: str, certificate: Certificate, x: Tensor, y: Tensor, method: Relaxation, constants: bool) -> None:
    """Print certified accuracies by relaxation.

    Args:
        title: Of the row.
        certificate: Has the network.
        x: Images.
        y: Labels.
        method: Of `relaxed_margins`.
        constants: Of `relaxed_margins`.
    """
    shares, began = [], time.process_time()
    for norm, all_radii in (("l2", L2), ("linf", LINF)):
        for radius in all_radii:
            margins = relaxed_margins(certificate.network, x, y, radius, norm=norm, method=method, constants=constants)
            shares.append(share(margins.amin(1) > 0))
    each = (time.process_time() - began) / len(x) / (len(L2) + len(LINF))
    print(f"{title:34}", *shares, f"  {1e3 * each:.2f} ms an image", flush=True)


def main() -> None:
    """Train the networks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--samples", type=int, default=359)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plain = {"layer": "plain", "activation": "relu"}
    kinds: list[tuple[str, dict[str, str], Loss, float, float]] = [
        ("Bjorck, MaxMin", {"layer": "bjorck", "activation": "maxmin"}, margin_loss, 2e-2, 0.0),
        ("ordinary, ReLU", plain, ordinary_loss, 2e-3, 0.0),
        ("ordinary, ReLU, weight decay 0.5", plain, ordinary_loss, 2e-3, 0.5),
    ]
    print("accuracy in % at l2 radii", *L2, "and l-infinity radii", *(f"{255 * r:.0f}/255" for r in LINF))
    for name, options, loss, rate, decay in kinds:
        torch.manual_seed(given.seed)
        mean = load("digits").train.channel_mean()
        model = build("mlp", input_shape=(1, 8, 8), n_classes=10, widths=WIDTHS, mean=mean, **options)
        began = time.process_time()
        trained = train(model, loss, epochs=given.epochs, rate=rate, decay=decay)
        print(f"\ntrained in {time.process_time() - began:.0f} s", flush=True)
        rows(name, trained, given.samples)


if __name__ == "__main__":
    main()
