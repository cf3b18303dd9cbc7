"""The commands that train and evaluate: each function is one command, and says where its results are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from onelip.experiments import attacking, evaluation, training
from onelip.experiments.checkpoints import read_checkpoint
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig
from onelip.experiments.config_file import check_config, load_any_config
from onelip.experiments.console import say
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.ordinary import evaluate_ordinary, keep_ordinary_numbers, write_ordinary_results
from onelip.experiments.preparation import Experiment, prepare
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.processes import in_turns, together, told
from onelip.experiments.relaxation import relax_certified
from onelip.experiments.report import write_report
from onelip.experiments.results_table import show_results
from onelip.experiments.resumable import recall_failure, resumable
from onelip.experiments.run_folder import RunFolder, create_run_folder, latest_run, open_run_folder
from onelip.experiments.sampled_tasks import sampled_task
from onelip.experiments.start import with_start_folder
from onelip.experiments.start_results import measure_start, record_start, say_start

_WHERE_IT_RUNS = ("trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.process_group_backend")
"""What a resumed run may change: the numbers stay the same, but for rounding."""


def train(name: str, overrides: Sequence[str], *, resume: bool) -> None:
    """Train, certify, attack and report a new run, or finish an interrupted one.

    Args:
        name: Configuration by name or path; with `resume`, a run folder or the name of an experiment.
        overrides: Changes of the configuration.
        resume: Continue an existing run.
    """
    folder = _find_run(name, overrides) if resume else None
    if folder is not None:
        folder.check_writable()
    config = _configuration(name, overrides, folder)
    if not isinstance(config, ExperimentConfig):
        _train_on_samples(config, folder)
        return
    fresh = folder is None or not folder.last_checkpoint.exists()
    if folder is not None and not fresh:
        read_checkpoint(folder.last_checkpoint)
    with together(config.trainer, ["train", name, *overrides, *(["--resume"] if resume else [])]) as processes:
        config = _with_threads(config, processes.local_size)
        experiment = prepare(config, processes, fresh=fresh)
        folder = _same_folder(config, folder, processes)
        if processes.first:
            record_start(experiment, folder)
        with resumable(folder, processes):
            training.train(experiment, folder, resume=resume, processes=processes)
    if processes.first:
        evaluate_run(experiment, folder)


# Tasks that draw their own samples train in one process.
def _train_on_samples(config: RunConfig, folder: RunFolder | None) -> None:
    kind = sampled_task(config.task)
    with as_user_errors():
        prepared = kind.prepare(config)
    folder = create_run_folder(prepared.config) if folder is None else folder
    say(f"run folder: {folder.path}")
    recall_failure(folder)
    with resumable(folder, ProcessPlan()):
        kind.train(prepared, folder)
        kind.evaluate(prepared, folder)


def evaluate_run(experiment: Experiment, folder: RunFolder) -> None:
    """Certify and attack what a run has trained, write its results and its page, and show them.

    Args:
        experiment: What was trained.
        folder: The run's folder.
    """
    config = experiment.config
    with resumable(folder, ProcessPlan()):
        if config.certify is None:
            measure_start(experiment, folder, experiment.data.test)
            write_ordinary_results(experiment, folder, evaluate_ordinary(experiment, folder))
            if config.attack is not None:
                attacking.attack_uncertified(experiment, config.attack, folder)
        else:
            certified = evaluation.certify_best(experiment, folder)
            relax_certified(certified, config.certify, folder)
            if config.attack is not None:
                evaluation.attack_certified(certified, config.attack, config.seed, folder)
            measure_start(experiment, folder, certified.samples)
            evaluation.write_results(experiment, folder, certified)
        page = write_report(folder.path)
    show_results(folder)
    say_start(folder)
    say(f"report: {page}")
    if config.certify is None:
        say(f"weights: {folder.weights_file}", f"singular values: {folder.spectrum_file}")
    else:
        say(f"check the certificate with: onelip verify {folder.path}")


def certify(run: str, *, relaxation: str | None = None) -> None:
    """Certify the test images with the weights that a run keeps, and renew the numbers in its results.

    A run that was trained without a certificate is certified by the default options.

    Args:
        run: The run's folder.
        relaxation: Method of a linear relaxation to certify by, too; None for the configuration's.
    """
    folder = open_run_folder(run)
    folder.check_writable()
    config = folder.config()
    tree = config.resolved()
    tree["certify"] = evaluation.certify_options(config).model_dump()
    if relaxation is not None:
        tree["certify"]["relaxation"] = relaxation
    options = evaluation.certify_options(check_config(tree))
    before = evaluation.read_json(folder.results_file) if config.certify is None else None
    experiment = prepare(config)
    certified = evaluation.certify_best(experiment, folder)
    relax_certified(certified, options, folder)
    evaluation.write_results(experiment, folder, certified)
    if before is not None:
        keep_ordinary_numbers(folder, before)
    say(str(certified.certificate.bound))
    show_results(folder)
    say(f"certificate: {folder.certificate_file}")


def attack(run: str, *, kind: str | None = None, settings: Sequence[str] | None = None, **options: Any) -> None:
    """Attack the network that a run keeps, and renew the numbers in its results.

    Args:
        run: The run's folder.
        kind: Name of an attack, "break" for everything against the certificate, or None for the configuration's.
        settings: More options of the attack, as "key=value".
        **options: Radii, samples, norm and effort, by name; None or missing means as in the configuration.
    """
    given = {key: value for key, value in options.items() if value is not None}
    attacking.attack(run, kind, given, settings or ())


def _find_run(name: str, overrides: Sequence[str]) -> RunFolder:
    runs_dir = "runs"
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "runs_dir":
            runs_dir = value
        elif key not in _WHERE_IT_RUNS:
            raise UserError(f"{override!r} cannot change a run that is resumed; start a new run instead")
    is_path = Path(name).is_dir() or Path(name).name != name
    return open_run_folder(name) if is_path else latest_run(name, runs_dir)


def _configuration(name: str, overrides: Sequence[str], folder: RunFolder | None) -> RunConfig:
    if folder is None:
        config = load_any_config(name, overrides)
        return with_start_folder(config) if isinstance(config, ExperimentConfig) else config
    config = folder.any_config()
    if not isinstance(config, ExperimentConfig):
        return config
    return folder.config([o for o in overrides if o.partition("=")[0] in _WHERE_IT_RUNS])


# The first process makes the folder, or knows which run is the latest.
def _same_folder(config: ExperimentConfig, folder: RunFolder | None, processes: ProcessPlan) -> RunFolder:
    made = in_turns(processes, lambda: create_run_folder(config) if folder is None and processes.first else folder)
    folder = RunFolder(Path(told("" if made is None else str(made.path))))
    say(f"run folder: {folder.path}")
    recall_failure(folder)
    return folder


# The number of threads changes the last digits; a run that is resumed elsewhere keeps it.
def _with_threads(config: ExperimentConfig, n_processes: int) -> ExperimentConfig:
    if config.trainer.threads is not None:
        return config
    threads = max(1, torch.get_num_threads() // n_processes)
    trainer = config.trainer.model_copy(update={"threads": threads})
    return config.model_copy(update={"trainer": trainer})
