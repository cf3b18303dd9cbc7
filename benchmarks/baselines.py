"""Baselines beside a 1-Lipschitz network on the handwritten digits, in one table.

Each configuration is trained as it says; the network "kw" is the ordinary small one of Wong et al., trained against a
linear relaxation. Test images are certified by the constant and by relaxation, and attacked with PGD and APGD. Fails
where an attack gets below what is certified. Run from the repository:

    python -m benchmarks.baselines --samples 100
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass

import torch
from benchmarks.kw_training import against
from benchmarks.relaxation import train as train_by_hand
from torch import Tensor, nn

import onelip
from onelip.attacks import apgd, l2_pgd, linf_pgd
from onelip.certify import Certificate, UnrelaxableOperation, relaxed_margins
from onelip.data import ImageData, load
from onelip.experiments import create_run_folder, load_config, training
from onelip.experiments.checkpoints import load_best_weights
from onelip.experiments.evaluation import plain_network
from onelip.experiments.preparation import prepare
from onelip.layers import to_plain
from onelip.models import build

CONFIGS = (
    "baseline-digits-ordinary",
    "baseline-digits-weight-decay",
    "baseline-digits-clipped",
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
        pgd: Accuracy under PGD.
        apgd: Accuracy under targeted APGD-DLR.
    """

    certified: list[Tensor]
    relaxed: list[Tensor] | None
    pgd: list[Tensor]
    apgd: list[Tensor]


def trained(name: str, seed: int) -> nn.Module:
    """Train a configuration.

    Args:
        name: Of the configuration, or "kw-linf" or "kw-l2".
        seed: Of weights and order.

    Returns:
        The network made of plain modules.
    """
    if name.startswith("kw-"):
        norm, radius = ("linf", 0.1) if name == "kw-linf" else ("l2", 0.5)
        torch.manual_seed(seed)
        mean = load("digits").train.channel_mean()
        model = build("kw-small", input_shape=(1, 8, 8), n_classes=10, mean=mean)
        return train_by_hand(model, against(norm, "crown-ibp", radius), epochs=60, rate=2e-3)
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
    pgd = l2_pgd if norm == "l2" else linf_pgd
    certified, relaxed, attacked, strongest = [], [], [], []
    for radius in RADII[norm]:
        certified.append(radii > radius)
        try:
            margins = relaxed_margins(certificate.network, x, y, radius, norm=norm)  # type: ignore[arg-type]
            relaxed.append(margins.amin(1) > 0)
        except UnrelaxableOperation:
            relaxed = []
        attacked.append(right(model, pgd(model, x, y, radius), y))
        # Cross-entropy of small logits climbs towards all classes at once; this loss towards one, whatever their size.
        found = apgd(model, x, y, radius, norm=norm, loss="targeted-dlr", n_targets=3, steps=50)  # type: ignore[arg-type]
        strongest.append(right(model, found, y))
    return certificate, Row(certified, relaxed or None, attacked, strongest)


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
    for name in given.only or (*CONFIGS[:3], "kw-l2", "kw-linf", *CONFIGS[3:]):
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
