"""Train the digits network with its configured optimiser and on the manifold, and compare what is certified.

    python benchmarks/manifold_digits.py --seeds 0                        one seed, both ways
    python benchmarks/manifold_digits.py --seeds 0 1 2 3 4
    python benchmarks/manifold_digits.py --table                          the Markdown table of all results so far

Data, schedule and augmentation are those of the configuration `digits`, and network and optimiser what it had before,
see docs/digits.md; the last weights are kept. Results go into a file of JSON lines, one for each run; the table has
mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from onelip import data
from onelip.experiments import load_config
from onelip.experiments.preparation import Experiment, prepare
from onelip.experiments.training import optimizer_factory
from onelip.layers import retract_
from onelip.tasks import OPTIMIZERS, SCHEDULES, OptimizerFactory, make_optimizer
from onelip.tasks.certified import CertifiedCount

RADII = (0.25, 0.5)
PARAMETRISED = (
    "model.widths=[192,192,192]",
    "optimizer={name: adamw, lr: 2e-2}",
)
COLUMNS = ("accuracy", *(f"certified at {radius}" for radius in RADII))


def train(experiment: Experiment, factory: OptimizerFactory, epochs: int) -> float:
    """Train in place.

    Returns:
        Seconds for a step, on average.
    """
    config, model = experiment.config, experiment.model
    batches = data.Batches(
        experiment.train,
        config.data.batch_size,
        shuffle=True,
        augment=data.Augment(**config.data.augment.model_dump()),
        seed=config.seed,
    )
    torch.manual_seed(config.seed)
    optimizer = make_optimizer(factory, model)
    schedule = SCHEDULES[config.schedule.name](**config.schedule.model_dump(exclude={"name"}))
    total = epochs * len(batches)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step / total))
    seconds = 0.0
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        for images, labels in batches:
            begin = time.perf_counter()
            optimizer.zero_grad()
            experiment.loss(model(images), labels).backward()
            optimizer.step()
            retract_(model)
            seconds += time.perf_counter() - begin
            scheduler.step()
    return seconds / total


def measure(experiment: Experiment) -> dict[str, float]:
    """Accuracy and certified accuracy on the test images, with the proved constant."""
    model, test = experiment.model.eval(), experiment.data.test
    counts = [CertifiedCount(model, radius) for radius in RADII]
    images, labels = test.pixels(), test.labels
    with torch.no_grad():
        logits = model(images)
    for count in counts:
        count.add(images, logits, labels)
    accuracy = float((logits.argmax(1) == labels).double().mean())
    return dict(zip(COLUMNS, [accuracy, *(count.fraction() for count in counts)], strict=True))


def table(runs: list[dict[str, Any]]) -> str:
    """The Markdown table: mean and standard deviation in percent, by method."""
    lines = [f"| method | seeds | {' | '.join(COLUMNS)} | ms/step |", f"|{'---|' * (len(COLUMNS) + 3)}"]
    for method in dict.fromkeys(run["method"] for run in runs):
        # A run that was repeated counts once.
        latest = {run["seed"]: run for run in runs if run["method"] == method}.values()
        cells = []
        for column in COLUMNS:
            values = [100 * run[column] for run in latest]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            cells.append(f"{statistics.mean(values):.2f} +- {spread:.2f}")
        pace = 1e3 * statistics.median(run["seconds per step"] for run in latest)
        lines.append(f"| {method} | {len(latest)} | {' | '.join(cells)} | {pace:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--rate", type=float, default=2e-2, help="learning rate on the manifold")
    parser.add_argument("--period", type=int, default=2, help="steps of the others for one of the matrices")
    parser.add_argument("--betas", type=float, nargs=2, default=(0.9, 0.99))
    parser.add_argument("--retraction", default="polar")
    parser.add_argument("--momentum", default="adam")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--epochs", type=int, help="instead of the configuration's")
    parser.add_argument("--only", choices=("configured", "manifold"))
    parser.add_argument("--results", type=Path, default=Path("manifold_digits.jsonl"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    chosen = {"lr": options.rate, "retraction": options.retraction, "momentum": options.momentum}
    chosen |= {"period": options.period, "betas": tuple(options.betas), "precision": options.precision}
    for seed in options.seeds:
        for arm in ("configured", "manifold") if options.only is None else (options.only,):
            experiment = prepare(load_config("digits", [*PARAMETRISED, f"seed={seed}"]))
            factory = optimizer_factory(experiment.config.optimizer)
            method = f"{experiment.config.optimizer.name}, parametrised"
            if arm == "manifold":
                factory = OPTIMIZERS["manifold-adam"](**chosen)
                method = "manifold-adam " + ", ".join(f"{k}={v}" for k, v in chosen.items())
            epochs = options.epochs or experiment.config.trainer.max_epochs
            pace = train(experiment, factory, epochs)
            run = {"method": method, "seed": seed, "epochs": epochs, "seconds per step": pace, **measure(experiment)}
            with options.results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(run) + "\n")
            print(run, flush=True)
    if options.table or options.seeds:
        print(table([json.loads(line) for line in options.results.read_text("utf-8").splitlines()]))


if __name__ == "__main__":
    main()
