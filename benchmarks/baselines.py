"""Baselines beside a 1-Lipschitz network on the handwritten digits, in one table.

Each configuration is trained as it says. Test images are certified by the constant and by relaxation, and attacked with
PGD and, what that leaves, with APGD. Fails where an attack gets below what is certified. Run from the repository:

    python -m benchmarks.baselines --samples 100
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import onelip
from onelip.attacks import attack_curves
from onelip.certify import Certificate, UnrelaxableOperation, relaxed_margins
from onelip.data import ImageData, load
from onelip.experiments import create_run_folder, load_config, training
from onelip.experiments.checkpoints import load_best_weights
from onelip.experiments.evaluation import plain_network
from onelip.experiments.preparation import prepare
from onelip.layers import to_plain

CONFIGS = (
    "baseline-digits-ordinary",
    "baseline-digits-weight-decay",
    "baseline-digits-clipped",
    "baseline-digits-kw-l2",
    "baseline-digits-kw-linf",
    "baseline-digits-spectral-norm",
    "baseline-digits-l2nnn",
    "baseline-digits-bjorck",
    "digits-linf-margin",
)
RADII = {"l2": (0.1, 0.25, 0.5, 1.0), "linf": (8 / 255, 16 / 255, 0.1)}


@dataclass(frozen=True)
class Row:
    """What one network comes to in one norm.

    Attributes:
        certified: By the constant, at each radius.
        relaxed: By CROWN with constants; None where a layer has no relaxation.
        pgd: Right under PGD.
        apgd: Right under the attack "apgd": PGD, then APGD on the cross-entropy, then on the targeted DLR loss.
    """

    certified: list[Tensor]
    relaxed: list[Tensor] | None
    pgd: list[Tensor]
    apgd: list[Tensor]


def trained(name: str, seed: int) -> nn.Module:
    """Train a configuration.

    Args:
        name: Of the configuration.
        seed: Of weights and order.

    Returns:
        The network made of plain modules.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(name, [f"seed={seed}", f"runs_dir={folder}"])
        experiment = prepare(config)
        run = create_run_folder(config)
        training.train(experiment, run)
        load_best_weights(experiment.model, run)
        return to_plain(plain_network(experiment.model))


def measure(model: nn.Module, data: ImageData, norm: str) -> tuple[Certificate | None, Row]:
    """Certify and attack in one norm.

    Args:
        model: Made of plain modules.
        data: The samples.
        norm: "l2" or "linf".

    Returns:
        The certificate, and what each sample is worth at each radius.
    """
    x, y = data.pixels(), data.labels
    certificate = onelip.certify(model, data.images, data.labels, scale=data.scale, norm=norm)
    radii = torch.from_numpy(certificate.radii)
    certified, relaxed = [], []
    for radius in RADII[norm]:
        certified.append(radii > radius)
        try:
            margins = relaxed_margins(certificate.network, x, y, radius, norm=norm)  # type: ignore[arg-type]
            relaxed.append(margins.amin(1) > 0)
        except UnrelaxableOperation:
            relaxed = []
    generator = torch.Generator().manual_seed(0)
    curves = attack_curves(model, x, y, RADII[norm], ["apgd"], norm=norm, generator=generator, steps=40, restarts=2)  # type: ignore[arg-type]
    pgd, apgd = (
        [torch.from_numpy(curves[name].distances) > radius for radius in RADII[norm]] for name in ("pgd", "apgd-t")
    )
    return certificate, Row(certified, relaxed or None, pgd, apgd)


def right(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Say which answers are right.

    Args:
        model: The network.
        x: Images.
        y: Labels.

    Returns:
        `(N,)` bool.
    """
    with torch.no_grad():
        return model(x).argmax(1) == y


def shares(values: list[Tensor] | None) -> str:
    """Write cells of the table.

    Args:
        values: Truth values of the samples at each radius.

    Returns:
        Per cent, with bars between; dashes for None.
    """
    if values is None:
        return "-"
    return " / ".join(f"{100 * float(v.double().mean()):.1f}" for v in values)


def check(row: Row, name: str) -> None:
    """Refuse a table in which an attack succeeds where a certificate holds.

    Args:
        row: Of a network.
        name: Of the network.

    Raises:
        SystemExit: If it does.
    """
    for i, survives in enumerate(zip(row.pgd, row.apgd, strict=True)):
        for proved in (row.certified[i], *(row.relaxed[i : i + 1] if row.relaxed else ())):
            if any(bool((proved & ~kept).any()) for kept in survives):
                raise SystemExit(f"{name}: an attack succeeds within a certified radius")


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names, all by default")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load("digits").test
    data = data.subset(torch.arange(given.samples) * len(data) // given.samples).in_memory()
    print("| network | s | clean | constant | norm | certified | by relaxation | PGD | APGD |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.only or CONFIGS:
        began = time.process_time()
        model = trained(name, given.seed)
        seconds = time.process_time() - began
        clean = shares([right(model, data.pixels(), data.labels)])
        for norm in RADII:
            try:
                certificate, row = measure(model, data, norm)
            except onelip.UnknownLipschitzConstant as error:
                print(f"| {name} | {seconds:.0f} | {clean} | {error} | {norm} | | | | |", flush=True)
                continue
            check(row, name)
            constant = 0.0 if certificate is None else certificate.bound.value
            cells = [shares(part) for part in (row.certified, row.relaxed, row.pgd, row.apgd)]
            print(f"| {name} | {seconds:.0f} | {clean} | {constant:.4g} | {norm} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
