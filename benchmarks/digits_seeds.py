"""Train classifiers of the digits with several seeds, and say what is certified on average and how much that varies.

    python benchmarks/digits_seeds.py digits                          five seeds, on the test images
    python benchmarks/digits_seeds.py digits --folds 3 --seeds 2      on folds of the training images alone
    python benchmarks/digits_seeds.py digits --set "loss.margin=1.1" "loss.margin=1.1 loss.temperature=0.1"
    python benchmarks/digits_seeds.py --table                         the Markdown table of all results so far

A configuration is a name or a file; each string of `--set` is a variant of each configuration, with overrides separated
by blanks ("" for none). They are trained and certified as `onelip train` does it, with the proved constant. With
`--folds N` the training images are cut into N parts, alike for all seeds, and each is certified by a network that was
trained on the others. Results go into a file of JSON lines, one for each training; what is in it is not trained again.
The table has mean and standard deviation over the seeds: with folds, over the seeds of what all folds together give.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip import data
from onelip.data import DataSet
from onelip.experiments import load_config
from onelip.experiments.evaluation import certify_best
from onelip.experiments.machine import processor
from onelip.experiments.preparation import Experiment, build_model, prepare
from onelip.experiments.run_folder import create_run_folder
from onelip.experiments.training import train

RADII = (0.25, 0.5, 0.75, 1.0)
COLUMNS = ("clean", *(f"at {radius}" for radius in RADII))
FOLD_SEED = 0

Run = dict[str, Any]


def fold(images: DataSet, number: int, n_folds: int) -> DataSet:
    """Make a data set of the training images alone: one fold to test on, the others to train on."""
    train_images = images.train.in_memory()
    order = np.random.default_rng(FOLD_SEED).permutation(len(train_images))
    held_out = torch.zeros(len(order), dtype=torch.bool)
    held_out[torch.from_numpy(order[number::n_folds])] = True
    return replace(images, train=train_images.subset(~held_out), test=train_images.subset(held_out))


def experiment_of(config_name: str, overrides: list[str], seed: int, part: tuple[int, int] | None) -> Experiment:
    """Prepare a training, on a fold where one is given."""
    config = load_config(config_name, [*overrides, f"seed={seed}"])
    experiment = prepare(config)
    if part is None:
        return experiment
    images = fold(experiment.data, *part)
    learned, validation = data.split(images.train, config.data.validation, seed)
    return replace(experiment, data=images, train=learned, validation=validation, model=build_model(config, images))


def run(experiment: Experiment) -> Run:
    """Train and certify; numbers of images that are right and certified, and the CPU seconds of the training."""
    with tempfile.TemporaryDirectory() as directory:
        folder = create_run_folder(experiment.config.model_copy(update={"runs_dir": directory}))
        begin = time.process_time()
        train(experiment, folder)
        seconds = time.process_time() - begin
        certificate = certify_best(experiment, folder).certificate
    shares = [certificate.accuracy, *(certificate.certified_accuracy(radius) for radius in RADII)]
    n = len(experiment.data.test)
    counts = {column: round(share * n) for column, share in zip(COLUMNS, shares, strict=True)}
    return {"images": n, **counts, "constant": certificate.bound.value, "CPU seconds": seconds}


def pooled(runs: list[Run]) -> Iterator[tuple[str, list[list[float]], float]]:
    """For each variant the percentages by seed, folds together, and the median CPU seconds of a training."""
    variants: dict[tuple[str, int | None], list[Run]] = defaultdict(list)
    for entry in runs:
        variants[entry["variant"], entry["folds"]].append(entry)
    for (variant, n_folds), group in variants.items():
        by_seed: dict[int, list[Run]] = defaultdict(list)
        for entry in group:
            by_seed[entry["seed"]].append(entry)
        complete = [seed_runs for seed_runs in by_seed.values() if len(seed_runs) == (n_folds or 1)]
        if complete:
            percent = [
                [100 * sum(r[column] for r in seed_runs) / sum(r["images"] for r in seed_runs) for column in COLUMNS]
                for seed_runs in complete
            ]
            where = "test images" if n_folds is None else f"{n_folds} folds"
            yield f"`{variant}` | {where}", percent, statistics.median(r["CPU seconds"] for r in group)


def table(runs: list[Run]) -> str:
    """The Markdown table: mean and standard deviation in percent over the seeds, by variant."""
    lines = [f"| variant | on | seeds | {' | '.join(COLUMNS)} | CPU s |", f"|{'---|' * (len(COLUMNS) + 4)}"]
    for name, percent, seconds in pooled(runs):
        cells = []
        for values in zip(*percent, strict=True):
            spread = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.2f}{spread}")
        lines.append(f"| {name} | {len(percent)} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join([*lines, "", f"Machine: {processor()}, torch {torch.__version__}."])


def read(file: Path) -> list[Run]:
    """All results so far."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", default=[])
    parser.add_argument("--set", dest="variants", nargs="*", default=[""])
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--folds", type=int, help="of the training images; by default the test images are certified")
    parser.add_argument("--results", type=Path, default=Path("digits_seeds.jsonl"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    keys = ("variant", "seed", "folds", "fold")
    done = {tuple(entry[key] for key in keys) for entry in read(options.results)}
    parts = [None] if options.folds is None else range(options.folds)
    trainings = [
        (config, changes, seed, part)
        for config in options.configs
        for changes in options.variants
        for seed in range(options.seeds)
        for part in parts
    ]
    for config, changes, seed, part in trainings:
        key = (f"{config} {changes}".strip(), seed, options.folds, part)
        if key not in done:
            where = None if part is None else (part, options.folds)
            entry = {
                **dict(zip(keys, key, strict=True)),
                **run(experiment_of(config, shlex.split(changes), seed, where)),
            }
            with options.results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(entry) + "\n")
            print(entry, flush=True)
    if options.table or trainings:
        print(table(read(options.results)))


if __name__ == "__main__":
    main()
