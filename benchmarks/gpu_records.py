"""Train a record for a given time, certify it, and append its curve to a file: see gpu_records.sh for the options."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

try:
    from onelip.experiments import ExperimentConfig, RunFolder, UserError, create_run_folder, load_config
    from onelip.experiments.evaluation import Certified, certify_best, radius_key
    from onelip.experiments.preparation import Experiment, prepare
    from onelip.experiments.recorder import read_metrics
    from onelip.experiments.training import StoppedError, train
except ModuleNotFoundError as error:
    sys.exit(f"{error}; gpu_records.sh says which packages it needs, and how to bring them to a machine without PyPI")

ROOT = Path(__file__).parents[1]
FIRST = "data_batch_1.bin"
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Args:
        arguments: By default those of the process.
    """
    options = parse(arguments)
    try:
        folder = data_folder(options.data, os.environ)
        config = load_config(options.config, overrides(options, folder))
        experiment = prepare(config)
        run = create_run_folder(config)
        print(f"run folder: {run.path}", flush=True)
        for rows in curve(experiment, run):
            append(options.results, [{**about(config, options), **row} for row in rows])
    except (UserError, StoppedError) as error:
        sys.exit(str(error))
    print(options.results)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Args:
        arguments: By default those of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(prog="gpu_records.sh", description=__doc__)
    parser.add_argument("minutes", type=float, help="time of training")
    parser.add_argument("--data", type=Path, help="CIFAR-10 in binary form; by default $CIFAR10_DIR")
    parser.add_argument("--results", type=Path, default=Path("gpu-records.jsonl"), help="what is appended to")
    parser.add_argument("--config", default="cifar10-record", help="name or path of the configuration")
    parser.add_argument("--samples", type=int, default=1000, help="test images that are certified")
    parser.add_argument("--validate-every", type=int, default=5, help="epochs between two validations")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="changes of the configuration")
    return parser.parse_intermixed_args(arguments)


def data_folder(option: Path | None, environment: Mapping[str, str]) -> Path:
    """Find the images.

    Args:
        option: What the command line says.
        environment: Has CIFAR10_DIR, perhaps.

    Returns:
        The folder.

    Raises:
        UserError: If none is named, or it does not hold them.
    """
    named = option or (Path(environment["CIFAR10_DIR"]) if environment.get("CIFAR10_DIR") else None)
    if named is None:
        raise UserError(f"no data: give --data FOLDER, or set CIFAR10_DIR to the folder with {FIRST} and the others")
    if not any((place / FIRST).is_file() for place in (named, named / "cifar-10-batches-bin")):
        raise UserError(f"no data: {named} holds no {FIRST}; it should be CIFAR-10 in binary form, unpacked")
    return named


def overrides(options: argparse.Namespace, data: Path) -> list[str]:
    """Say what is changed in the configuration.

    Args:
        options: The command line.
        data: Folder of the images.

    Returns:
        As for `onelip train`; what the command line changes comes last.
    """
    return [
        f"data.dir={json.dumps(str(data))}",
        "trainer.max_epochs=null",
        f"trainer.max_minutes={options.minutes}",
        f"trainer.validate_every={options.validate_every}",
        f"certify.max_samples={options.samples}",
        *options.changes,
    ]


def curve(experiment: Experiment, run: RunFolder) -> Iterable[list[Row]]:
    """Train and certify.

    Args:
        experiment: What to train.
        run: Where.

    Yields:
        A row for each validation, also of a training that was stopped; then one of test images.
    """
    stopped: StoppedError | None = None
    try:
        train(experiment, run)
    except StoppedError as error:
        stopped = error
    metrics = read_metrics(run)
    yield [validated(row, experiment.config) for row in metrics if "val_accuracy" in row]
    if stopped is not None:
        raise stopped
    yield [tested(certify_best(experiment, run), metrics[-1]["minutes"], experiment.config)]


def validated(row: Mapping[str, float], config: ExperimentConfig) -> Row:
    """Make the row of a validation.

    Args:
        row: Of `metrics.csv`.
        config: The configuration.

    Returns:
        The row.
    """
    assert config.certify is not None, "all records are certified"
    certified = {radius_key(config.certify.selection_radius): row["val_certified_accuracy"]}
    return {
        "split": "validation",
        "minutes": row["minutes"],
        "epoch": int(row["epoch"]) + 1,
        "accuracy": row["val_accuracy"],
        "certified": certified,
        "train_loss": row["train_loss"],
    }


def tested(certified: Certified, minutes: float, config: ExperimentConfig) -> Row:
    """Make the row of the test.

    Args:
        certified: The certificate.
        minutes: Of training.
        config: The configuration.

    Returns:
        The row.
    """
    assert config.certify is not None, "all records are certified"
    certificate = certified.certificate
    return {
        "split": "test",
        "minutes": minutes,
        "epoch": certified.epoch + 1,
        "samples": len(certified.samples),
        "accuracy": certificate.accuracy,
        "certified": {radius_key(r): certificate.certified_accuracy(r) for r in config.certify.radii},
        "constant": certificate.bound.value,
        "proved": certificate.bound.proved,
    }


def about(config: ExperimentConfig, options: argparse.Namespace) -> Row:
    """Say when, where and what was measured.

    Args:
        config: The configuration.
        options: The command line.

    Returns:
        How each row begins.
    """
    cuda = config.trainer.accelerator in ("auto", "gpu") and torch.cuda.is_available()
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "commit": commit(),
        "config": config.name,
        "changes": options.changes,
        "seed": config.seed,
    }


def commit() -> str | None:
    """Name the commit of the sources.

    Returns:
        Its digest; None outside of a repository, or without git.
    """
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows to the results.

    Args:
        path: A file of JSON lines, made if there is none.
        rows: What to add.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
