"""Train one dense network on the digits in every way of docs/robust-training.md, and print what each is worth.

    python benchmarks/robust_training.py                    two seeds, about five minutes of one core
    python benchmarks/robust_training.py --seeds 1 --epochs 10 --only ordinary pgd

Clean accuracy, accuracy under 40 steps of PGD with 5 restarts, and accuracy certified with the proved constant, all in
l2 on all 359 test images, with the weights after the last epoch. Rows are mean values over the seeds, in per cent;
seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import NamedTuple

import torch

from onelip.attacks import l2_pgd
from onelip.certify import certify
from onelip.experiments import create_run_folder, load_config
from onelip.experiments.evaluation import plain_network
from onelip.experiments.machine import processor
from onelip.experiments.preparation import prepare
from onelip.experiments.training import train

RADII = (0.25, 0.5)
SHARED = [
    "model.widths=[256, 256]", "trainer.threads=1", "trainer.validate_every=1000", "data.validation=0.05",
    "optimizer=adamw", "optimizer.lr=3e-3",
]  # fmt: skip
ORDINARY = ["layer=plain", "activation=relu", "loss=cross-entropy"]
WAYS: dict[str, list[str]] = {
    "ordinary": ORDINARY,
    "weight decay": [*ORDINARY, "optimizer.weight_decay=1"],
    "dropout": [*ORDINARY, "model.dropout_input=0.2", "model.dropout_hidden=0.5"],
    "jacobian spectral": [*ORDINARY, "jacobian={weight: 0.05}"],
    "jacobian frobenius": [*ORDINARY, "jacobian={kind: frobenius, weight: 0.01}"],
    "pgd": [*ORDINARY, "adversarial={radius: 0.5}"],
    "trades": [*ORDINARY, "adversarial={kind: trades, radius: 0.5}"],
    "projection parseval": ["layer=plain", "projection={kind: parseval}"],
    "projection l2": ["layer=plain", "projection={kind: l2}"],
    "bjorck": ["layer=bjorck"],
    "bjorck, pgd": ["layer=bjorck", "adversarial={radius: 0.5}"],
}
"""Changes of the configuration `digits`, whose loss and activation are for networks of a small constant."""


class Row(NamedTuple):
    """What one training came to: accuracies as parts of 1, seconds of the processor."""

    clean: float
    attacked: tuple[float, ...]
    certified: tuple[float, ...]
    constant: float
    seconds: float


def measure(changes: list[str], seed: int, epochs: int, folder: str) -> Row:
    """Train, certify and attack one network."""
    own = [f"seed={seed}", f"trainer.max_epochs={epochs}", f"runs_dir={folder}"]
    experiment = prepare(load_config("digits", [*SHARED, *changes, *own]))
    start = time.process_time()
    train(experiment, create_run_folder(experiment.config))
    seconds = time.process_time() - start
    network, test = plain_network(experiment.model), experiment.data.test.in_memory()
    images, labels = test.pixels(slice(None)), test.labels
    certificate = certify(network, test.images, test.labels, scale=test.scale)
    generator = torch.Generator().manual_seed(seed)
    attacked = []
    for radius in RADII:
        found = l2_pgd(network, images, labels, radius, generator=generator)
        attacked.append(float((network(found).argmax(1) == labels).float().mean()))
    certified = tuple(certificate.certified_accuracy(radius) for radius in RADII)
    return Row(certificate.accuracy, tuple(attacked), certified, certificate.bound.value, seconds)


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--only", nargs="*", choices=[*WAYS], default=[*WAYS])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, torch {torch.__version__}, {arguments.seeds} seeds, {arguments.epochs} epochs\n")
    heads = [f"{what} at {radius:g}" for what in ("PGD", "certified") for radius in RADII]
    print(f"| way | clean | {' | '.join(heads)} | constant | seconds |\n|---|{'---:|' * (len(heads) + 3)}")
    for way in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            rows = [measure(WAYS[way], seed, arguments.epochs, folder) for seed in range(arguments.seeds)]
        shares = [[row.clean, *row.attacked, *row.certified] for row in rows]
        cells = [f"{100 * statistics.mean(column):.1f}" for column in zip(*shares, strict=True)]
        constant = statistics.mean(row.constant for row in rows)
        seconds = statistics.mean(row.seconds for row in rows)
        print(f"| {way} | {' | '.join(cells)} | {constant:.3g} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
