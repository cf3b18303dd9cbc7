"""Train each kind of GAN on the digits for the same number of steps, and draw them side by side.

    python benchmarks/gan_kinds.py --folder runs-kinds                        trains what is not there yet, then draws
    python benchmarks/gan_kinds.py --folder runs-kinds --set trainer.max_steps=11000

Each kind is `onelip train gan-digits critic=KIND`, with the overrides of `--set`; a run that was interrupted goes on.
The picture goes to docs/gan-kinds.png and the grid of the Lipschitz critic to docs/gan-digits.png. The table has,
beside what `results.json` says, how many samples a small classifier of the digits, trained here on the training images,
is sure of by more than 0.8, and the share of the rarest class that it sees.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onelip import data
from onelip.experiments import UserError
from onelip.experiments.commands import train
from onelip.experiments.gan import load_generator
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder, latest_run
from onelip.pictures import sample_grid, save_kinds, save_picture

DOCS = Path(__file__).parents[1] / "docs"
KINDS = {"lipschitz": "1-Lipschitz critic", "wgan": "WGAN", "wgan-gp": "WGAN-GP"}
N_SAMPLES, N_SHOWN = 2000, 120
SURE = 0.8


def run_of(kind: str, folder: Path, overrides: list[str]) -> RunFolder:
    """Train a kind, or finish or find its run."""
    runs_dir = str(folder / kind)
    try:
        run = latest_run("gan-digits", runs_dir)
    except UserError:
        train("gan-digits", [f"critic={kind}", f"runs_dir={runs_dir}", *overrides], resume=False)
        return latest_run("gan-digits", runs_dir)
    if not run.results_file.exists():
        train(str(run.path), [], resume=True)
    return run


def classifier() -> nn.Module:
    """Train three small networks on the digits; their mean probabilities are 97 % right on the test images."""
    torch.manual_seed(1)
    images = data.load("digits").train
    x, y = images.pixels(), images.labels

    def network() -> nn.Module:
        parts = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
        optimizer = torch.optim.Adam(parts.parameters(), 2e-3, weight_decay=1e-4)
        for _ in range(40):
            for index in torch.randperm(len(x)).split(64):
                noisy = x[index] + 0.05 * torch.randn_like(x[index])
                optimizer.zero_grad()
                nn.functional.cross_entropy(parts(noisy), y[index]).backward()
                optimizer.step()
        return parts

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.networks = nn.ModuleList(network() for _ in range(3))

        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([n(images).softmax(dim=1) for n in self.networks]).mean(dim=0)

    return Mean()


def row(name: str, images: Tensor, mean: nn.Module, results: dict[str, Any] | None) -> list[str]:
    """One line of the table."""
    with torch.no_grad():
        probabilities = mean(images)
    sure = float((probabilities.amax(dim=1) > SURE).float().mean())
    rarest = float(torch.bincount(probabilities.argmax(dim=1), minlength=10).min()) / len(images)
    cells = [name, f"{100 * sure:.0f} %", f"{100 * rarest:.1f} %"]
    if results is None:
        return [*cells, *[""] * 6]
    distance, constant = results["wasserstein1"], results["critic_constant"]["value"]
    return [
        *cells,
        f"{results['frechet']['squared_distance']:.3f}",
        f"{results['critic_gradients']['largest']:.4g}",
        f"{constant:.4g}",
        f"{distance['lower_bound']:.3f} +- {distance['standard_error']:.3f}",
        f"{distance['discrete']:.3f}",
        f"{results['train_seconds']:.0f}",
    ]


def main() -> None:
    """Train, draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs are")
    parser.add_argument("--set", nargs="*", default=[], help="overrides of gan-digits")
    options = parser.parse_args()
    runs = {kind: run_of(kind, options.folder, options.set) for kind in KINDS}
    results = {kind: json.loads(run.results_file.read_text("utf-8")) for kind, run in runs.items()}
    floor = results["lipschitz"]["frechet"]["squared_distance_of_training_images"]
    shown = {kind: load_generator(run.path)(N_SHOWN, torch.Generator().manual_seed(0)) for kind, run in runs.items()}
    grids = {
        f"{KINDS[kind]}, {results[kind]['generator_steps']:,} steps": sample_grid(images[:40], 8)
        for kind, images in shown.items()
    }
    save_kinds(
        {KINDS[kind]: read_metrics(run) for kind, run in runs.items()}, grids, DOCS / "gan-kinds.png", floor=floor
    )
    save_picture(sample_grid(shown["lipschitz"], 20), DOCS / "gan-digits.png")
    mean, test = classifier(), data.load("digits").test.pixels()
    exact = results["lipschitz"]["wasserstein1"]
    print(f"training images: Frechet {floor:.3f}, exact W1 of samples {exact['discrete_of_training_images']:.3f}")
    heads = ("", "sure of", "rarest class", "Frechet", "gradient, measured", "constant, proved", "W1 >=")
    print(f"| {' | '.join([*heads, 'exact W1 of samples', 'seconds'])} |")
    print("|---|---|---|---|---|---|---|---|---|")
    lines = [row("test images", test, mean, None)]
    for kind, run in runs.items():
        images = load_generator(run.path)(N_SAMPLES, torch.Generator().manual_seed(1))
        lines.append(row(KINDS[kind], images, mean, results[kind]))
    for cells in lines:
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
