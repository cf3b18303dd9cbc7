"""The commands that train and evaluate: each function is one command, and says where its results are."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, cast, get_args

import torch

from onelip.attacks import AttackName, CertificateViolatedError
from onelip.experiments import evaluation, training
from onelip.experiments.checkpoints import read_checkpoint
from onelip.experiments.config import Attack, ExperimentConfig
from onelip.experiments.config_file import check_config, load_config
from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.ordinary import evaluate_ordinary, keep_ordinary_numbers, write_ordinary_results
from onelip.experiments.preparation import prepare
from onelip.experiments.relaxation import relax_certified
from onelip.experiments.report import write_report
from onelip.experiments.results_table import show_results
from onelip.experiments.run_folder import RunFolder, create_run_folder, latest_run, open_run_folder
from onelip.tasks import NonFiniteLossError

ATTACKS = (*get_args(AttackName), "break")


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
    config = _with_threads(load_config(name, overrides)) if folder is None else folder.config()
    if folder is not None and folder.last_checkpoint.exists():
        read_checkpoint(folder.last_checkpoint)
    experiment = prepare(config)
    if folder is None:
        folder = create_run_folder(config)
    say(f"run folder: {folder.path}")
    with _resumable(folder):
        training.train(experiment, folder, resume=resume)
        if config.certify is None:
            write_ordinary_results(experiment, folder, evaluate_ordinary(experiment, folder))
        else:
            certified = evaluation.certify_best(experiment, folder)
            relax_certified(certified, config.certify, folder)
            if config.attack is not None:
                evaluation.attack_certified(certified, config.attack, config.seed, folder)
            evaluation.write_results(experiment, folder, certified)
        page = write_report(folder.path)
    show_results(folder)
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


def attack(
    run: str,
    *,
    radii: Sequence[float] | None,
    steps: int | None,
    restarts: int | None,
    samples: int | None,
    kind: str = "pgd",
) -> None:
    """Attack the network that a run certified, and renew the numbers in its results.

    Args:
        run: The run's folder.
        radii: l2 radii; None for the configuration's, as for the other options.
        steps: Gradient steps of each restart.
        restarts: Random starts for each image.
        samples: How many certified images to attack.
        kind: "pgd", "apgd-ce", "apgd-t", or "break" for everything at each image's own radius.

    Raises:
        UserError: If there is no such attack, or `radii` are given where each image has its own.
        CommandFailedError: If a certified image is misclassified within its radius.
    """
    if kind not in ATTACKS:
        raise UserError(f"--attack={kind} must be one of {', '.join(ATTACKS)}")
    if kind == "break" and radii:
        raise UserError("--radius does not go with --attack=break, which attacks each image within its own radius")
    folder = open_run_folder(run)
    folder.check_writable()
    config = folder.config()
    given = {"radii": radii, "steps": steps, "restarts": restarts, "samples": samples}
    tree = config.resolved()
    tree["attack"] = (config.attack or Attack()).model_dump()
    tree["attack"].update({key: value for key, value in given.items() if value is not None})
    options = check_config(tree).attack or Attack()
    experiment = prepare(config)
    certified = evaluation.load_certified(experiment, folder)
    if kind == "break":
        outcome = evaluation.break_certified(certified, options, config.seed, folder)
        if not outcome.ok:
            raise CommandFailedError(str(outcome), 1)
        say(str(outcome), f"attack: {folder.break_file}")
        return
    try:
        evaluation.attack_certified(certified, options, config.seed, folder, cast(AttackName, kind))
    except CertificateViolatedError as error:
        raise CommandFailedError(str(error), 1) from None
    evaluation.write_results(experiment, folder, certified)
    show_results(folder)
    say(f"attack: {folder.attack_file}")


def _find_run(name: str, overrides: Sequence[str]) -> RunFolder:
    runs_dir = "runs"
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "runs_dir":
            raise UserError(f"{override!r} cannot change a run that is resumed; start a new run instead")
        runs_dir = value
    is_path = Path(name).is_dir() or Path(name).name != name
    return open_run_folder(name) if is_path else latest_run(name, runs_dir)


# The number of threads changes the last digits; a run that is resumed elsewhere keeps it.
def _with_threads(config: ExperimentConfig) -> ExperimentConfig:
    if config.trainer.threads is not None:
        return config
    trainer = config.trainer.model_copy(update={"threads": torch.get_num_threads()})
    return config.model_copy(update={"trainer": trainer})


@contextmanager
def _resumable(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _stopped(folder, signal.SIGINT)
    except training.StoppedError as error:
        _stopped(folder, error.number)
    except NonFiniteLossError as error:
        checkpoint = folder.last_checkpoint
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint.exists() else "there is no checkpoint yet"
        raise CommandFailedError(f"{error}; {kept}", 1) from None


def _stopped(folder: RunFolder, number: int) -> NoReturn:
    raise CommandFailedError(f"stopped; continue with: onelip train --resume {folder.path}", 128 + number) from None
