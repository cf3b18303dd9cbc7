"""Write the configurations of the grid of clipping experiments: methods x modes of batch normalisation x models.

usage: python -m tools.clipping_configs            lists the cells
       python -m tools.clipping_configs --write    writes them

The bases, which hold the recipes, are written by hand; a cell is what differs from its base, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.written_configs import write_configs

FOLDER = Path(__file__).parents[1] / "src" / "onelip" / "configs" / "clipping"

DIGITS = "clipping-digits"
"""Has a hundredth of the steps of the published trainings, and clips ten times as often."""

BASES = {
    "clipping-cifar10-resnet18": "ResNet18 on CIFAR-10",
    "clipping-cifar10-dla": "DLA on CIFAR-10",
    "clipping-mnist-resnet18": "ResNet18 on MNIST",
    "clipping-mnist-dla": "DLA on MNIST",
    "clipping-mnist-simple-conv": "one convolution on MNIST",
    DIGITS: "a narrow ResNet18 on handwritten digits",
}

METHODS = {
    "fastclip": "FastClip",
    "gouk": "Gouk et al.",
    "miyato": "Miyato et al.",
    "senderovich": "Senderovich et al.",
    "delattre": "Delattre et al.",
    "none": "No clipping",
}

MODES = {
    "wbn": "batch normalisations kept",
    "nobn": "without batch normalisation",
    "clipbn": "batch normalisations clipped",
    "joint": "convolution and batch normalisation clipped as one",
}

BATCH_NORM = {"clipbn": "clip", "joint": "joint"}
"""What `clipping.batch_norm` is in a mode, where that is not the default."""

PERIODS = {"wbn": 50, "nobn": 100, "clipbn": 100, "joint": 100}
"""Published number of steps between two clippings of FastClip."""

LEFT_OUT = {
    ("none", "clipbn"): "it is not among the published ones: with nothing else clipped, it has nothing to go with",
    ("none", "joint"): "it clips nothing",
    (
        "gouk",
        "joint",
    ): "the published experiments clip composites by FastClip alone",
    ("miyato", "joint"): "it parametrises single kernels",
    ("senderovich", "joint"): "it transforms single kernels",
    ("delattre", "joint"): "it penalises single kernels",
}
"""Cells that are not there, and why."""


@dataclass(frozen=True)
class Cell:
    """One configuration of the grid.

    Attributes:
        base: Name of the configuration that holds the recipe.
        method: Name of the training method.
        mode: A key of `MODES`.
    """

    base: str
    method: str
    mode: str

    @property
    def name(self) -> str:
        """The name of the configuration."""
        return f"{self.base}-{self.method}-{self.mode}"

    def text(self) -> str:
        """Write it.

        Returns:
            YAML.
        """
        options: dict[str, object] = {"method": self.method}
        if self.mode in BATCH_NORM:
            options["batch_norm"] = BATCH_NORM[self.mode]
        if self.method == "fastclip":
            options["period"] = PERIODS[self.mode] // (10 if self.base == DIGITS else 1)
        elif self.method == "senderovich" and self.base == DIGITS:
            options["period"] = 10
        if self.mode == "clipbn" and self.base == DIGITS:
            options["batch_norm_period"] = 5
        clipping = ", ".join(f"{key}: {value}" for key, value in options.items())
        lines = [
            f"# {METHODS[self.method]}, {MODES[self.mode]}: {BASES[self.base]}.",
            f"base: {self.base}",
            f"name: {self.name}",
            *(["model: {batch_norm: false}"] if self.mode == "nobn" else []),
            f"clipping: {{{clipping}}}",
        ]
        return "\n".join(lines) + "\n"


def cells() -> Iterator[Cell]:
    """List the grid.

    Yields:
        Every cell that is not left out.
    """
    for base in BASES:
        for method in METHODS:
            for mode in MODES:
                if (method, mode) not in LEFT_OUT:
                    yield Cell(base, method, mode)


def main() -> None:
    """List the cells, or write them and delete files of cells that are no more."""
    if sys.argv[1:] not in ([], ["--write"]):
        sys.exit("usage: python -m tools.clipping_configs [--write]")
    grid = {cell.name: cell.text() for cell in cells()}
    if not sys.argv[1:]:
        print("\n".join(grid))
        return
    write_configs(FOLDER, grid, keep=BASES)


if __name__ == "__main__":
    main()
