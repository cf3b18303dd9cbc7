"""Write the configurations of "1-Lipschitz Layers Compared": data sets x sizes x methods, from its published numbers.

usage: python -m tools.layers_compared_configs            lists them
       python -m tools.layers_compared_configs --write    writes them

The package has what the paper publishes for each (its tables 8 to 11), in experiments/tables/published: the learning
rate and weight decay of its search, the epochs that two hours have room for, and accuracies after 24 hours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.written_configs import write_configs

from onelip.experiments.tables.published import records

TABLE = "layers_compared"
FOLDER = Path(__file__).parents[1] / "src" / "onelip" / "configs" / "layers_compared"

FAMILY = "layers-compared"
PAPER = "arXiv:2311.16833"
SIZES = ("xs", "s", "m", "l")
METHODS = {
    "aoc": "AOC",
    "aol": "AOL",
    "bcop": "BCOP",
    "cayley": "Cayley",
    "cpl": "CPL",
    "lot": "LOT",
    "sll": "SLL",
    "soc": "SOC",
}

LINEAR = {"bcop": "bjorck", "soc": "bjorck"}
"""Methods of the head, where they are not that of the convolutions."""

_COLUMNS = {
    ("lr", ""): "lr",
    ("weight_decay", ""): "weight_decay",
    ("epochs", "2h"): "epochs_in_2_hours",
    ("accuracy", "24h"): "accuracy",
    ("certified", "24h"): "certified",
}
"""Of a `Result`, by measure and budget of the published numbers."""

UNPUBLISHED = "aoc"
"""A method that the paper does not compare; it takes the settings of `NEAREST`."""
NEAREST = "bcop"

_OF_BASE = "the common recipe, with AOC"


@dataclass(frozen=True)
class DataSet:
    """A data set of the paper.

    Attributes:
        name: The name users type.
        title: The name in print.
        model: Begin of the model's name.
        table: Number of the paper's table of results.
        augment: Random changes, as YAML.
    """

    name: str
    title: str
    model: str
    table: int
    augment: str

    @property
    def family(self) -> str:
        """What the names of its configurations begin with."""
        return FAMILY if self.name == "cifar10" else f"{FAMILY}-{self.name}"


DATA = {
    "cifar10": DataSet("cifar10", "CIFAR-10", "convnet", 9, "{crop: 4, flip: true, fill: mean}"),
    "cifar100": DataSet("cifar100", "CIFAR-100", "convnet", 10, "{crop: 4, flip: true, fill: mean}"),
    "tiny-imagenet": DataSet(
        "tiny-imagenet", "Tiny-ImageNet", "tiny-convnet", 11, "{crop: 0, flip: false, fill: zeros, rand_augment: {}}"
    ),
}


@dataclass(frozen=True)
class Result:
    """A row of the table.

    Attributes:
        data: Name of the data set.
        method: Name of the layer.
        size: One of `SIZES`.
        lr: Learning rate at its peak.
        weight_decay: Weight decay.
        epochs_in_2_hours: Epochs that two hours on an A100-80GB have room for.
        accuracy: In percent, after 24 hours; empty if the training collapsed.
        certified: At 36/255.
    """

    data: str
    method: str
    size: str
    lr: str
    weight_decay: str
    epochs_in_2_hours: str
    accuracy: str
    certified: str

    @property
    def n_epochs(self) -> int:
        """Epochs of the published training, of 24 hours."""
        return 12 * int(self.epochs_in_2_hours)


def results() -> list[Result]:
    """Read the table.

    Returns:
        Its rows.
    """
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in records(TABLE):
        column = _COLUMNS.get((row["measure"], row["budget"]))
        # Of ECO there are epochs alone, and it has no layer here.
        if column is not None and row["method"] in METHODS:
            found.setdefault((row["data"], row["method"], row["size"]), {})[column] = row["value"]
    return [Result(*key, **numbers) for key, numbers in found.items()]


def configurations() -> Iterator[tuple[str, str]]:
    """Make the files: a base for each data set and size, and what differs from it for each method.

    Yields:
        Name and YAML.
    """
    found = {(r.data, r.size, r.method): r for r in results()}
    for data in DATA.values():
        for size in SIZES:
            nearest = found[data.name, size, NEAREST]
            base = f"{data.family}-{size}"
            yield base, _base(data, size, nearest)
            yield f"{base}-{UNPUBLISHED}", _unpublished(data, size, nearest)
            for method in METHODS:
                if (data.name, size, method) in found:
                    yield f"{base}-{method}", _cell(data, found[data.name, size, method])


def _base(data: DataSet, size: str, nearest: Result) -> str:
    if (data.name, size) != ("cifar10", "xs"):
        return _yaml(
            _notes(data, size, _OF_BASE, "none", nearest),
            base=f"{FAMILY}-xs",
            name=f"{data.family}-{size}",
            data=f"{{name: {data.name}, augment: {data.augment}}}",
            model=f"{data.model}-{size}",
            **_settings(nearest),
        )
    return f"""{_notes(data, size, _OF_BASE, "none", nearest)}
# Differs: the momentum is not cycled along with the rate, which follows each step instead of each epoch; 1,000 training
#   images are held out to watch the training, and certified are the last weights with the proved constant; the heads
#   of AOC, BCOP and SOC are dense layers instead of 1x1 convolutions
name: {FAMILY}-xs
data:
  name: {data.name}
  batch_size: 256
  validation: 0.02
  normalize: mean
  augment: {data.augment}
model: {data.model}-{size}
layer: {UNPUBLISHED}
activation: maxmin
loss:
  name: offset-cross-entropy
  margin: 0.3993    # 2 sqrt(2) 36/255
  temperature: 0.25
optimizer: {{name: sgd, lr: {nearest.lr}, weight_decay: {nearest.weight_decay}, momentum: 0.9}}
schedule: {{name: one-cycle, warmup: 0.3, start: 0.04, end: 4e-6}}
trainer: {_settings(nearest)["trainer"]}
certify:
  radii: [36/255, 72/255, 108/255, 1]
  selection_radius: 36/255
  weights: last
attack:
  radii: [36/255, 72/255, 108/255, 1]
  steps: 20
  restarts: 2
"""


def _unpublished(data: DataSet, size: str, nearest: Result) -> str:
    title = f"AOC with the settings of {METHODS[NEAREST]}, whose kernels are composed alike"
    return _yaml(
        _notes(data, size, title, "none", nearest),
        base=f"{data.family}-{size}",
        name=f"{data.family}-{size}-{UNPUBLISHED}",
    )


def _cell(data: DataSet, result: Result) -> str:
    published = f"{result.accuracy} clean, {result.certified} certified at 36 over 255"
    collapsed = "none, since the training collapsed"
    changes = {"layer": result.method, **({"linear": LINEAR[result.method]} if result.method in LINEAR else {})}
    return _yaml(
        _notes(data, result.size, METHODS[result.method], published if result.accuracy else collapsed, result),
        base=f"{data.family}-{result.size}",
        name=f"{data.family}-{result.size}-{result.method}",
        **changes,
        **_settings(result),
    )


def _notes(data: DataSet, size: str, title: str, published: str, result: Result) -> str:
    hours = "24 on an A100-80GB"
    epochs = f"{result.n_epochs:,} epochs of {METHODS[result.method]} took"
    return "\n".join(
        [
            f'# "1-Lipschitz Layers Compared", {data.title}, size {size.upper()}: {title}.',
            f"# Published: {published}",
            f"# Source: {PAPER}, tables 8 and {data.table}",
            f"# GPU-hours: {hours}, which {epochs}",
        ]
    )


# Some fifty validations, since each of them proves a constant.
def _settings(result: Result) -> dict[str, str]:
    every = max(1, result.n_epochs // 50)
    return {
        "optimizer": f"{{lr: {result.lr}, weight_decay: {result.weight_decay}}}",
        "trainer": f"{{max_epochs: {result.n_epochs}, validate_every: {every}}}",
    }


def _yaml(notes: str, **keys: str) -> str:
    return "\n".join([notes, *(f"{key}: {value}" for key, value in keys.items())]) + "\n"


def main() -> None:
    """List the configurations, or write them and delete files of those that are no more."""
    if sys.argv[1:] not in ([], ["--write"]):
        sys.exit("usage: python -m tools.layers_compared_configs [--write]")
    texts = dict(configurations())
    if not sys.argv[1:]:
        print("\n".join(texts))
        return
    write_configs(FOLDER, texts)


if __name__ == "__main__":
    main()
