"""One trial: a training in a run folder, with or without what follows it, and its score."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

import lightning.pytorch as pl

from onelip.experiments import training
from onelip.experiments.commands import evaluate_run
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig
from onelip.experiments.config_file import dump_config
from onelip.experiments.config_sweep import Sweep
from onelip.experiments.errors import CommandFailedError, UserError, as_user_errors
from onelip.experiments.files import write_text_atomically
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.sampled_tasks import sampled_task
from onelip.experiments.start_results import record_start
from onelip.experiments.sweep.study import Goal

USUAL: dict[str, tuple[str, Goal]] = {
    "wasserstein": ("lower_bound", "maximize"),
    "gan": ("frechet_sq", "minimize"),
}
"""Metric and goal of the tasks that draw their samples; that of classifiers depends on whether they are certified."""


def metric_of(section: Sweep, config: RunConfig) -> tuple[str, Goal]:
    """Say what the trials of a sweep are compared by.

    Args:
        section: The sweep's.
        config: Configuration of any trial.

    Returns:
        A column of metrics.csv, and what is good of it.

    Raises:
        UserError: A metric of the user's own has no goal, or will not be measured.
    """
    certified = isinstance(config, ExperimentConfig) and config.certify is not None
    usual: tuple[str, Goal] = "val_certified_accuracy" if certified else "val_accuracy", "maximize"
    usual = USUAL.get(config.task, usual)
    metric = section.metric or usual[0]
    if metric != usual[0] and section.goal is None:
        raise UserError(f"sweep.metric={metric} needs sweep.goal, maximize or minimize")
    if isinstance(config, ExperimentConfig) and config.data.validation == 0 and metric.startswith("val_"):
        raise UserError(f"data.validation=0 holds no images out, so there is no {metric} to choose by; give a share")
    return metric, section.goal or usual[1]


def run_trial(config: RunConfig, folder: RunFolder, *, evaluate: bool, callbacks: Sequence[pl.Callback] = ()) -> None:
    """Train in a run folder, or go on after its last checkpoint, as `onelip train` does.

    Args:
        config: The configuration that the folder has.
        folder: The run's folder.
        evaluate: Certify, attack and report afterwards?
        callbacks: More of them for the training.

    Raises:
        StoppedError: A signal stopped the training.
        NonFiniteError: A number became NaN or infinite.
        UserError: Something in the configuration does not go together.
        CommandFailedError: It stopped in another process.
    """
    if not isinstance(config, ExperimentConfig):
        kind = sampled_task(config.task)
        with as_user_errors():
            prepared = kind.prepare(config)
        if prepared.config != config:
            # Other runs that it names are folders from now on, since the latest of a name may be another one tomorrow.
            write_text_atomically(folder.config_file, dump_config(prepared.config))
        kind.train(prepared, folder, callbacks)
        if evaluate:
            kind.evaluate(prepared, folder)
        return
    if config.trainer.devices != 1 or config.trainer.num_nodes != 1:
        _run_in_processes(folder)
        return
    experiment = prepare(config, fresh=not folder.last_checkpoint.exists())
    record_start(experiment, folder)
    training.train(experiment, folder, resume=True, callbacks=callbacks)
    if evaluate:
        evaluate_run(experiment, folder)


# Their own command starts the other processes, which run it, too.
def _run_in_processes(folder: RunFolder) -> None:
    command = [sys.executable, "-m", "onelip", "train", "--resume", str(folder.path)]
    # They inherit the lease, which is theirs as long as they train, even if this process dies.
    with subprocess.Popen(command, close_fds=False) as training_process:  # noqa: S603
        try:
            code = training_process.wait()
        except KeyboardInterrupt:
            training_process.terminate()
            raise
    if code < 0:
        raise CommandFailedError(f"onelip train --resume {folder.path} was killed by signal {-code}", 1)
    if code:
        raise CommandFailedError(f"onelip train --resume {folder.path} ended with exit code {code}", code)


def score(config: RunConfig, folder: RunFolder, metric: str) -> float:
    """Read the metric of the epoch whose weights a run keeps.

    Args:
        config: The run's configuration.
        folder: Its folder.
        metric: A column of metrics.csv.

    Returns:
        The number.

    Raises:
        UserError: It was not measured.
    """
    rows = [row for row in read_metrics(folder) if metric in row]
    if not rows:
        known = sorted({name for row in read_metrics(folder) for name in row})
        raise UserError(f"sweep.metric={metric} is no column of {folder.metrics_file}, which has {', '.join(known)}")
    best = isinstance(config, ExperimentConfig) and (config.certify is None or config.certify.weights == "best")
    return max(rows, key=_rank)[metric] if best else rows[-1][metric]


# As `Recorder` keeps weights: of epochs alike the last.
def _rank(row: Mapping[str, float]) -> tuple[float, ...]:
    return (*(row.get(name, -1.0) for name in ("val_certified_accuracy", "val_accuracy")), row["epoch"])
