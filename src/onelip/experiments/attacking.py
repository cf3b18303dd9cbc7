"""The command that attacks a run, certified or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onelip.attacks import CertificateViolatedError
from onelip.attacks.by_name import ATTACKS, named_attack
from onelip.experiments import evaluation
from onelip.experiments.attack_records import Target, attack_file, attack_target
from onelip.experiments.checkpoints import load_best_weights
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_attack import Attack, changed_attack, plain_number
from onelip.experiments.config_file import check_config
from onelip.experiments.config_source import parse_yaml
from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError, as_user_errors, one_line
from onelip.experiments.files import write_json_atomically
from onelip.experiments.preparation import Experiment, prepare
from onelip.experiments.report.attack_figure import write_attack_figure
from onelip.experiments.results_table import show_attack
from onelip.experiments.run_folder import RunFolder, open_run_folder

BREAK = "break"

_COMMON = ("radii", "samples", "norm")
_BREAK_OPTIONS = ("samples", "steps", "restarts")


def attack(run: str, kind: str | None, options: Mapping[str, Any], settings: Sequence[str] = ()) -> None:
    """Attack the network that a run keeps, and renew the numbers in its results.

    Args:
        run: The run's folder.
        kind: Name of an attack, "break" for everything against the certificate, or None for the configuration's.
        options: Radii, samples, norm and effort, by name; what is missing is as in the configuration.
        settings: More options of the attack, as "key=value".

    Raises:
        UserError: If there is no such attack or option of it, or the run has no certificate to break.
        CommandFailedError: If a certified answer is changed within its radius.
    """
    folder = open_run_folder(run)
    folder.check_writable()
    config = folder.config()
    chosen = attack_options(config, kind, options, settings)
    experiment = prepare(config)
    if config.certify is None and not folder.certificate_file.exists():
        if kind == BREAK:
            raise UserError(f"--attack={BREAK} needs a certificate, and {run} is not certified; use another attack")
        result, file = _attack_uncertified(experiment, chosen, folder)
    elif kind == BREAK:
        _break(experiment, chosen, folder)
        return
    else:
        result, file = _attack_certified(experiment, chosen, folder)
    show_attack(result)
    say(f"attack: {file}", f"plot: {write_attack_figure(folder, result)}")


def attack_options(
    config: ExperimentConfig, kind: str | None, options: Mapping[str, Any], settings: Sequence[str] = ()
) -> Attack:
    """Change the attack of a configuration.

    Args:
        config: A run's configuration.
        kind: Name of the attack, or None for the configuration's.
        options: What else to change.
        settings: More of it, as "key=value".

    Returns:
        The checked section.

    Raises:
        UserError: If there is no such attack, or an option does not go with it.
    """
    tree = config.resolved()
    section = tree["attack"] or Attack().model_dump(mode="json")
    name = section["kind"] if kind is None else kind
    if name not in (*ATTACKS, BREAK):
        raise UserError(f"--attack={name} must be one of {', '.join((*ATTACKS, BREAK))}")
    own = _BREAK_OPTIONS if name == BREAK else (*_COMMON, *named_attack(name).defaults)
    _check_flags(name, options, own)
    options = {key: plain_number(value) if key == "step_size" else value for key, value in options.items()}
    changes = {**options, **_parsed(name, settings, own, options)}
    tree["attack"] = changed_attack(section, "pgd" if name == BREAK else name, changes)
    checked = check_config(tree).attack
    return Attack() if checked is None else checked


def _check_flags(name: str, options: Mapping[str, Any], own: Sequence[str]) -> None:
    if name == BREAK and "radii" in options:
        raise UserError("--eps does not go with --attack=break, which attacks each image within its own radius")
    for key in options:
        if key not in own:
            raise UserError(
                f"--{key.replace('_', '-')} does not go with --attack={name}, whose options are {', '.join(own)}"
            )


def _parsed(name: str, settings: Sequence[str], own: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or not text:
            radius = setting[:1].isdigit()
            usual = "write it as key=value, such as overshoot=0.05"
            hint = "several radii go into one --eps, such as --eps 0.25,0.5" if radius else usual
            raise UserError(f"{setting!r} is not an option of an attack; {hint}")
        if key not in own:
            raise UserError(f"{setting} does not go with --attack={name}, whose options are {', '.join(own)}")
        if key in found or key in flags:
            raise UserError(f"{setting} is given twice; leave one away")
        found[key] = parse_yaml(text, f"the value of {key}")
    return found


def attack_uncertified(experiment: Experiment, options: Attack, folder: RunFolder) -> dict[str, Any]:
    """Attack test images, evenly spread, with the weights that a run keeps; write the files of the attack.

    Args:
        experiment: The run's experiment; its model takes these weights.
        options: The attack.
        folder: The run's folder.

    Returns:
        What the file of accuracies holds.
    """
    return _attack_uncertified(experiment, options, folder)[0]


def _attack_uncertified(experiment: Experiment, options: Attack, folder: RunFolder) -> tuple[dict[str, Any], Path]:
    config, images = experiment.config, experiment.data.test
    epoch = load_best_weights(experiment.model, folder)
    index = evaluation.even_index(len(images), options.n_samples)
    target = Target(evaluation.plain_network(experiment.model.cpu()), images.subset(index).in_memory(), index, epoch)
    file = attack_file(folder, options, config.attack, None)
    with _mistakes():
        result = attack_target(target, options, config.seed, folder, file)
    if folder.results_file.exists():
        results = evaluation.read_json(folder.results_file) | evaluation.attacks_in_numbers(folder, epoch)
        write_json_atomically(folder.results_file, results)
    return result, file


def _attack_certified(experiment: Experiment, options: Attack, folder: RunFolder) -> tuple[dict[str, Any], Path]:
    certified = evaluation.load_certified(experiment, folder)
    target = evaluation.target_of(certified, options.n_samples)
    file = attack_file(folder, options, experiment.config.attack, certified.certificate.norm)
    try:
        with _mistakes():
            result = attack_target(target, options, experiment.config.seed, folder, file)
    except CertificateViolatedError as error:
        raise CommandFailedError(str(error), 1) from None
    evaluation.write_results(experiment, folder, certified)
    return result, file


def _break(experiment: Experiment, options: Attack, folder: RunFolder) -> None:
    certified = evaluation.load_certified(experiment, folder)
    outcome = evaluation.break_certified(certified, options, experiment.config.seed, folder)
    if not outcome.ok:
        raise CommandFailedError(str(outcome), 1)
    say(str(outcome), f"attack: {folder.break_file}")


@contextmanager
def _mistakes() -> Iterator[None]:
    # A package that is not installed, and what an attack cannot do with this network, such as too few classes.
    try:
        with as_user_errors():
            yield
    except ModuleNotFoundError as error:
        raise UserError(one_line(str(error))) from error
