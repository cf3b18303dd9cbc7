"""What half an hour on two CPU cores gives: the record and the recipes that it is measured against, and their curves.

    python -m benchmarks.laptop_record train [RECIPE ...] [--data FOLDER]     one after another, each as long
    python -m benchmarks.laptop_record plot                                  docs/laptop-record.png, and a table

Each recipe is a configuration that is shipped, with its own settings; common are the time, two threads, all 50,000
training images and the weights that it ends with. Curves are of the 10,000 test images, which are looked at along the
way for the plot alone: no step and no choice of weights depends on them, and the time that it takes does not count. The
last row of a recipe is its certificate, with the proved constant (of Orthogonium's network for every tenth image). Rows
are appended to a file of JSON lines. The machine should do nothing else. FOLDER has CIFAR-10 in binary form; by default
$CIFAR10_DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.gpu_records import Row, about, append, data_folder, tested, validated

from onelip.experiments import UserError, create_run_folder, load_config
from onelip.experiments.evaluation import certify_best, radius_key
from onelip.experiments.machine import processor
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import train

MINUTES = 30.0
DOCS = Path(__file__).parents[1] / "docs"
RADIUS = radius_key(36 / 255)


@dataclass(frozen=True)
class Recipe:
    """How a configuration is shown.

    Attributes:
        label: Its name in the plot.
        every: Epochs between two points of its curve.
        samples: Test images that are certified, evenly spread; None for all.
    """

    label: str
    every: int
    samples: int | None = None


RECIPES = {
    "cifar10-laptop": Recipe("onelip cifar10-laptop", 5),
    "layers-compared-xs-aoc": Recipe("ConvNetXS, AOC", 1),
    "layers-compared-xs-cpl": Recipe("ConvNetXS, CPL", 1),
    # An exact evaluation takes a tenth of a second for an image.
    "orthogonium-cifar10-robust": Recipe("Orthogonium's tutorial, robust", 1, samples=1000),
}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "plot"))
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(RECIPES)}; by default all")
    parser.add_argument("--data", type=Path, help="CIFAR-10 in binary form; by default $CIFAR10_DIR")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="time of each training")
    parser.add_argument("--results", type=Path, default=DOCS / "laptop-record.jsonl", help="what is appended to")
    parser.add_argument("--set", dest="changes", nargs="*", default=[], metavar="KEY=VALUE", help="other settings")
    options = parser.parse_args()
    unknown = sorted(set(options.recipes) - set(RECIPES))
    if unknown:
        parser.error(f"unknown recipe {unknown[0]!r}; there are {', '.join(RECIPES)}")
    if options.what == "plot":
        plot(read(options.results), DOCS / "laptop-record.png")
        print(table(read(options.results)))
        return
    try:
        for name in options.recipes or RECIPES:
            train_one(name, options)
    except UserError as error:
        sys.exit(str(error))


def train_one(name: str, options: argparse.Namespace) -> None:
    """Train, certify and append the curve."""
    config = load_config(name, overrides(name, options))
    experiment = prepare(config)
    run = create_run_folder(config)
    print(f"{name}: {run.path}", flush=True)
    # The split that is looked at; nothing is chosen by it.
    experiment = replace(experiment, validation=experiment.data.test)
    train(experiment, run)
    metrics = [row for row in read_metrics(run) if "val_accuracy" in row]
    machine = {"machine": processor(), "threads": config.trainer.threads}
    common = {**about(config, options), **machine, "images": len(experiment.train)}
    append(options.results, [{**common, **validated(row, config), "split": "test, along the way"} for row in metrics])
    certified = certify_best(experiment, run)
    append(options.results, [{**common, **tested(certified, metrics[-1]["minutes"], config)}])


def overrides(name: str, options: argparse.Namespace) -> list[str]:
    """What all recipes have in common."""
    return [
        f"data.dir={json.dumps(str(data_folder(options.data, os.environ)))}",
        "data.validation=0",
        "trainer.max_epochs=null",
        f"trainer.max_minutes={options.minutes}",
        "trainer.threads=2",
        f"trainer.validate_every={RECIPES[name].every}",
        "certify.weights=last",
        f"certify.max_samples={json.dumps(RECIPES[name].samples)}",
        "certify.selection_radius=36/255",
        *options.changes,
    ]


def read(path: Path) -> dict[str, list[Row]]:
    """The rows of the last training of each recipe, which share a date; one that has no certificate is left out."""
    last: dict[str, list[Row]] = {}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        rows = last.setdefault(row["config"], [])
        if rows and (rows[-1]["split"] == "test" or rows[-1]["date"] != row["date"]):
            rows.clear()
        rows.append(row)
    return {name: last[name] for name in RECIPES if name in last and last[name][-1]["split"] == "test"}


def table(results: dict[str, list[Row]]) -> str:
    """The certificates as Markdown, in per cent."""
    lines = ["| recipe | epochs | clean | 36/255 | 72/255 | 108/255 | constant |", f"|{'---|' * 7}"]
    for name, rows in results.items():
        last = rows[-1]
        shares = [last["accuracy"], *list(last["certified"].values())[:3]]
        numbers = " | ".join(f"{100 * share:.2f}" for share in shares)
        lines.append(f"| `{name}` | {last['epoch']} | {numbers} | {last['constant']:.6f} |")
    machines = sorted({f"{rows[-1]['machine']}, {rows[-1]['threads']} threads" for rows in results.values()})
    return "\n".join([*lines, "", f"Machine: {'; '.join(machines)}."])


def plot(results: dict[str, list[Row]], file: Path) -> None:
    """Certified accuracy over minutes of training."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), layout="constrained")
    for name, rows in results.items():
        certified = [100 * row["certified"][RADIUS] for row in rows]
        drawn = axes.plot([row["minutes"] for row in rows], certified, marker=".", label=RECIPES[name].label)
        axes.annotate(
            f"{certified[-1]:.1f}",
            (rows[-1]["minutes"], certified[-1]),
            xytext=(5, -3),
            textcoords="offset points",
            color=drawn[0].get_color(),
        )
    machine = next(iter(results.values()))[-1]["machine"]
    axes.set(
        xlabel=f"minutes of training, two threads of {machine}",
        ylabel="test images certified at 36/255, per cent",
        xlim=(0, 1.1 * max(rows[-1]["minutes"] for rows in results.values())),
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    # Between the record and the others.
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.65), frameon=False)
    # Beside, then renamed: no half-written picture.
    beside = file.with_suffix(".part.png")
    figure.savefig(beside, dpi=150)
    beside.replace(file)


if __name__ == "__main__":
    main()
