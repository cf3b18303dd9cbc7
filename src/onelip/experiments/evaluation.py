"""What a trained run is worth: certificate and attack on the test split, results in numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.parametrize import remove_parametrizations

from onelip.attacks import BreakReport, break_certificates
from onelip.certify import Certificate, certify, load_certificate
from onelip.data import ImageData, Images
from onelip.experiments.attack_records import Target, attack_file, attack_target, read_attacks
from onelip.experiments.checkpoints import load_best_weights
from onelip.experiments.config import Certify, ExperimentConfig
from onelip.experiments.config_attack import Attack
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.files import write_json_atomically
from onelip.experiments.machine import machine_in_numbers
from onelip.experiments.preparation import Experiment
from onelip.experiments.progress import work_bar
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder
from onelip.layers import MirrorAverage, to_plain


@dataclass(frozen=True, eq=False)
class Certified:
    """A certificate with what it is about.

    Attributes:
        network: The certified network, made of plain modules; the average over mirror images, where asked for.
        samples: The certified test images.
        certificate: Their radii and the proved constant.
        epoch: The epoch whose weights are certified, counted from 0.
    """

    network: nn.Module
    samples: ImageData
    certificate: Certificate
    epoch: int


def certify_best(experiment: Experiment, folder: RunFolder) -> Certified:
    """Certify test images with the weights that the run keeps; save the certificate.

    Args:
        experiment: The run's experiment; its model takes these weights.
        folder: The run's folder.

    Returns:
        The certificate.
    """
    network, samples, epoch = _network_and_samples(experiment, folder)
    options = certify_options(experiment.config)
    with work_bar("certifying") as progress:
        certificate = certify(
            network,
            samples.images,
            samples.labels,
            scale=samples.scale,
            norm=options.norm,
            semantics=options.semantics,
            progress=progress,
        )
    certificate.save(folder.path)
    # What is said of an earlier certificate's network goes.
    folder.relaxation_file.unlink(missing_ok=True)
    return Certified(network, samples, certificate, epoch)


def certify_options(config: ExperimentConfig) -> Certify:
    """Say how to certify a run.

    Args:
        config: The run's configuration.

    Returns:
        Its own section, or the defaults for a run that was trained without.
    """
    return Certify() if config.certify is None else config.certify


def load_certified(experiment: Experiment, folder: RunFolder) -> Certified:
    """Read a run's certificate back.

    Args:
        experiment: The run's experiment; its model takes the weights that the run keeps.
        folder: The run's folder.

    Returns:
        The certificate.

    Raises:
        UserError: If the run has none, or the checkpoint or the data are no longer those that it is about.
    """
    if not folder.certificate_file.exists():
        raise UserError(f"{folder.path} has no certificate yet; write one with: onelip certify {folder.path}")
    network, samples, epoch = _network_and_samples(experiment, folder)
    with as_user_errors():
        certificate = load_certificate(folder.certificate_file)
    if not _certified_by(certificate, network, samples):
        raise UserError(
            f"the checkpoint or the data are not those of the certificate; renew it with: onelip certify {folder.path}"
        )
    return Certified(network, samples, certificate, epoch)


def attack_certified(certified: Certified, options: Attack, seed: int, folder: RunFolder) -> dict[str, Any]:
    """Attack some of the certified images at every radius; write `attack.json`.

    Args:
        certified: What was certified.
        options: The attack of the run, its radii and its effort.
        seed: Seed of the random starts.
        folder: The run's folder.

    Returns:
        What the file holds; `attack-KIND-NORM.json` has it if its norm is not that of the certificate.
    """
    file = attack_file(folder, options, options, certified.certificate.norm)
    return attack_target(target_of(certified, options.n_samples), options, seed, folder, file)


def target_of(certified: Certified, n_samples: int | None) -> Target:
    """Choose some of the certified images to attack.

    Args:
        certified: What was certified.
        n_samples: How many, at most; None for all.

    Returns:
        The images, spread evenly, with their certified radii.
    """
    index = even_index(len(certified.samples), n_samples)
    certificate, samples = certified.certificate, certified.samples.subset(index)
    radii = certificate.radii[index.numpy()]
    return Target(certified.network, samples, index, certified.epoch, radii, certificate.norm)


def break_certified(certified: Certified, options: Attack, seed: int, folder: RunFolder) -> BreakReport:
    """Do everything to contradict a run's certificate on some of its images; write `break.json`.

    Args:
        certified: What was certified.
        options: How many certified images, steps and restarts.
        seed: Seed of the random starts.
        folder: The run's folder.

    Returns:
        What came of it.
    """
    with work_bar("breaking") as progress:
        report = break_certificates(
            certified.certificate,
            samples=options.n_samples,
            steps=options.steps,
            restarts=options.restarts,
            seed=seed,
            progress=progress,
        )
    rows = {"attack": "break", "seed": seed, "steps": options.steps, "restarts": options.restarts, **asdict(report)}
    # JSON has no infinity.
    rows["least_gap"] = report.least_gap if math.isfinite(report.least_gap) else None
    write_json_atomically(folder.break_file, rows)
    return report


def write_results(experiment: Experiment, folder: RunFolder, certified: Certified) -> None:
    """Write `results.json`, the run in numbers; those of the attack come from `attack.json`, if there is one.

    Args:
        experiment: The run's experiment.
        folder: The run's folder.
        certified: Its certificate.
    """
    config, certificate = experiment.config, certified.certificate
    bound = certificate.bound
    results = {
        **run_in_numbers(experiment, folder, certified.epoch),
        "accuracy": certificate.accuracy,
        "certified": {radius_key(r): certificate.certified_accuracy(r) for r in certify_options(config).radii},
        **attacks_in_numbers(folder, certified.epoch),
        "norm": certificate.norm,
        "semantics": certificate.semantics,
        "lipschitz_bound": {"value": bound.value, "proved": bound.proved, "method": bound.method},
        "split": "test",
    }
    for key, file in (("relaxation", folder.relaxation_file), ("start", folder.start_file)):
        if file.exists():
            results[key] = read_json(file)
    write_json_atomically(folder.results_file, results)


def run_in_numbers(experiment: Experiment, folder: RunFolder, epoch: int) -> dict[str, Any]:
    """Say what was trained, where and for how long: how the results of any run begin.

    Args:
        experiment: The run's experiment.
        folder: The run's folder.
        epoch: The epoch whose weights are kept, counted from 0.

    Returns:
        Plain values.
    """
    config, rows = experiment.config, read_metrics(folder)
    return {
        "name": config.name,
        "seed": config.seed,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine_in_numbers(),
        "data": config.data.name,
        "model": config.model.name,
        "layer": config.layer,
        "n_parameters": sum(p.numel() for p in experiment.model.parameters()),
        "train_seconds": round(sum(row["seconds"] for row in rows), 3),
        "epochs": len(rows),
        "weights": {"rule": certify_options(config).weights, "epoch": epoch + 1},
    }


def attacks_in_numbers(folder: RunFolder, epoch: int) -> dict[str, Any]:
    """Collect what came of attacks, as a part of `results.json`.

    Args:
        folder: The run's folder.
        epoch: The epoch of the weights, counted from 0.

    Returns:
        Accuracies at the radii of `attack.json` as "attacked", and those of every attack on these weights as "attacks".
    """
    attack = read_json(folder.attack_file) if folder.attack_file.exists() else {"radii": [], "accuracy": []}
    return {
        "attacked": _at_radii(attack),
        "attacks": {
            f"{one['attack']}-{one['norm']}": {"accuracy": _at_radii(one), "never_changed": one["never_changed"]}
            for one in read_attacks(folder, epoch)
        },
    }


def _at_radii(attack: Mapping[str, Any]) -> dict[str, float]:
    return {radius_key(r): share for r, share in zip(attack["radii"], attack["accuracy"], strict=True)}


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Args:
        path: Its path.

    Returns:
        Its value.
    """
    return json.loads(path.read_text("utf-8"))


def radius_key(radius: float) -> str:
    """Write a radius as a key of `results.json`.

    Args:
        radius: Such as 0.25 or 36/255.

    Returns:
        At most six significant digits.
    """
    return f"{radius:.6g}"


def even_index(n_all: int, n_wanted: int | None) -> torch.Tensor:
    """Choose positions spread evenly, since data sets may be sorted by class.

    Args:
        n_all: How many there are.
        n_wanted: How many are wanted; None for all.

    Returns:
        Distinct rising positions, `(min(n_all, n_wanted),)` int64.
    """
    n = n_all if n_wanted is None else min(n_all, n_wanted)
    return torch.arange(n) * n_all // n


def evenly(images: Images, n_wanted: int | None) -> ImageData:
    """Read images spread evenly over a data set into memory.

    Args:
        images: All images.
        n_wanted: How many to read; None for all.

    Returns:
        The chosen images.
    """
    return images.subset(even_index(len(images), n_wanted)).in_memory()


def plain_network(model: nn.Module) -> nn.Module:
    """Build the same function without the parametrisations of layers and of training methods.

    Args:
        model: Any network.

    Returns:
        A new module of plain modules, in eval mode.
    """
    plain = to_plain(model)
    for module in plain.modules():
        parametrizations = list(getattr(module, "parametrizations", {}))
        if parametrizations:
            _own_class(module)
        for name in parametrizations:
            remove_parametrizations(module, name)
    return plain


# Torch keeps the parametrised names on a class of each module, which a copy shares: removed from the copy, they would
# be gone from the network that it was made of, too.
def _own_class(module: nn.Module) -> None:
    shared = type(module)
    members = {name: member for name, member in vars(shared).items() if name not in ("__dict__", "__weakref__")}
    module.__class__ = type(shared.__name__, shared.__bases__, members)


def _network_and_samples(experiment: Experiment, folder: RunFolder) -> tuple[nn.Module, ImageData, int]:
    epoch = load_best_weights(experiment.model, folder)
    samples = evenly(experiment.data.test, certify_options(experiment.config).max_samples)
    network = plain_network(experiment.model.cpu())
    if certify_options(experiment.config).mirror_average:
        network = MirrorAverage(network).eval()
    return network, samples, epoch


# By the answers, since another machine may round the plain weights differently.
def _certified_by(certificate: Certificate, network: nn.Module, samples: ImageData) -> bool:
    if not np.array_equal(samples.images.numpy(), certificate.images):
        return False
    # Float32 may decide differently where the margin is next to nothing.
    clear = torch.from_numpy(certificate.radii > 1e-3)
    labels = torch.from_numpy(certificate.labels)
    with torch.no_grad():
        parts = torch.arange(len(samples)).split(256)
        answers = torch.cat([network(samples.pixels(part)).argmax(1) for part in parts])
    return bool((answers == labels)[clear].all())
