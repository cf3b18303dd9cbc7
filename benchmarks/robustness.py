"""What is proved of trained networks beside what attacks do to them, for the table in docs/robustness.md.

Takes folders of runs, such as those that these commands leave, and prints a row for each:

    onelip train digits
    onelip train lconvnet-mnist-small-bcop data.dir=MNIST trainer.max_epochs=10 trainer.validate_every=1
    onelip train lconvnet-cifar10-small-bcop data.dir=CIFAR schedule.end=0.6813 trainer.max_epochs=10 ...

The certificate of each run is read and its network attacked on test images spread evenly, by PGD and then by APGD on
what PGD left. Fails if a certified answer is changed, or if certified <= APGD <= PGD <= clean does not hold at a
radius. Run from the repository:

    python -m benchmarks.robustness runs/digits/STAMP runs/lconvnet-mnist-small-bcop/STAMP --samples 1000
"""

from __future__ import annotations

import argparse

import torch

from onelip.attacks import attack_curves
from onelip.experiments import open_run_folder
from onelip.experiments.evaluation import load_certified, target_of
from onelip.experiments.preparation import prepare


def row(path: str, radii: list[float] | None, samples: int, steps: int, restarts: int) -> list[str]:
    """Attack one run.

    Args:
        path: Its folder.
        radii: Where to look; None for those of its configuration.
        samples: How many test images.
        steps: Gradient steps of each attack.
        restarts: How often each starts.

    Returns:
        Cells of the table.

    Raises:
        SystemExit: If the order of the numbers is wrong.
    """
    folder = open_run_folder(path)
    config = folder.config()
    certified = load_certified(prepare(config), folder)
    certificate, target = certified.certificate, target_of(certified, samples)
    wanted = radii or ([] if config.certify is None else list(config.certify.radii))
    images, labels = target.samples.pixels(), target.samples.labels
    curves = attack_curves(
        target.network,
        images,
        labels,
        wanted,
        ["apgd"],
        norm=certificate.norm,
        steps=steps,
        restarts=restarts,
        generator=torch.Generator().manual_seed(config.seed),
        certified=target.radii,
    )
    pgd, apgd = curves["pgd"], curves["apgd-t"]
    clean = pgd.clean_accuracy
    proved = [float((target.radii > radius).mean()) for radius in wanted] if target.radii is not None else []
    for radius, low, middle, high in zip(wanted, proved, apgd.accuracy, pgd.accuracy, strict=True):
        if not low <= middle <= high <= clean:
            raise SystemExit(f"{config.name} at {radius:g}: {low} <= {middle} <= {high} <= {clean} does not hold")
    cells = [" / ".join(f"{100 * share:.1f}" for share in shares) for shares in (proved, apgd.accuracy, pgd.accuracy)]
    names = " / ".join(f"{radius:.3g}" for radius in wanted)
    bound = f"{certificate.bound.value:.7f}"
    return [config.name, str(len(labels)), bound, f"{certificate.norm} {names}", f"{100 * clean:.1f}", *cells]


def main() -> None:
    """Attack every run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--radii", nargs="*", type=float)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--restarts", type=int, default=2)
    given = parser.parse_args()
    print("| run | images | constant | radii | clean | certified | APGD | PGD |")
    print("|---|---|---|---|---|---|---|---|")
    for path in given.runs:
        cells = row(path, given.radii, given.samples, given.steps, given.restarts)
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
