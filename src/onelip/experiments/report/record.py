"""Read what a run has recorded, as far as it got."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from onelip.certify import Certificate, load_certificate
from onelip.experiments.errors import UserError, one_line
from onelip.experiments.evaluation import even_index
from onelip.experiments.kept_points import KeptPoints, read_points
from onelip.experiments.norm_checks import read_norms
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder

T = TypeVar("T")

RESULT_KEYS = ("name", "accuracy", "certified", "attacked", "lipschitz_bound")
ORDINARY_KEYS = ("name", "accuracy", "spectrum", "mode", "largest_norm_at_checks", "checks", "clipping", "samples")
COMMON_KEYS = ("attack", "norm", "radii", "accuracy", "clean_on_same", "samples")
ATTACK_KEYS = ("radii", "accuracy", "certified_on_same", "clean_on_same", "samples")


@dataclass(frozen=True, eq=False)
class RunRecord:
    """The files of a run, read.

    Attributes:
        folder: Where they are.
        config_text: The resolved configuration, or None.
        metrics: One row for each epoch.
        results: The run in numbers, or None.
        attack: Accuracy under attack, or None.
        certificate: The certificate with the frozen network, or None.
        problems: One sentence for each file that is there and cannot be used.
        norms: Norms of the parts at each check of the training.
        attacks: What came of every attack on the weights that were kept, `attack` first.
        kept: Points that attacks have kept.
    """

    folder: RunFolder
    config_text: str | None = None
    metrics: Sequence[Mapping[str, float]] = ()
    results: Mapping[str, Any] | None = None
    attack: Mapping[str, Any] | None = None
    certificate: Certificate | None = None
    problems: tuple[str, ...] = field(default=())
    norms: Sequence[Mapping[str, Any]] = ()
    attacks: Sequence[Mapping[str, Any]] = ()
    kept: Sequence[KeptPoints] = ()

    @property
    def ordinary(self) -> bool:
        """Was it trained without a certificate?"""
        if self.results is not None:
            return "clean_accuracy" in self.results
        return "\ncertify: null\n" in (self.config_text or "")


def read_run(path: Path) -> RunRecord:
    """Read a run folder; whatever is missing or broken is left out.

    Args:
        path: The folder.

    Returns:
        What it holds.

    Raises:
        UserError: If there is no such folder.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; give the folder of a run")
    folder = RunFolder(path)
    problems: list[str] = []
    no_rows: list[dict[str, float]] = []
    no_norms: list[dict[str, Any]] = []

    def read(file: Path, reader: Callable[[], T], default: T) -> T:
        if not file.exists():
            return default
        try:
            return reader()
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{file.name} cannot be used: {one_line(str(error)) or type(error).__name__}")
            return default

    config = read(folder.config_file, lambda: folder.config_file.read_text("utf-8"), None)
    metrics = read(folder.metrics_file, lambda: read_metrics(folder), no_rows)
    results = read(folder.results_file, lambda: _results(folder.results_file), None)
    norms = read(folder.norms_file, lambda: read_norms(folder), no_norms)
    certificate = read(folder.certificate_file, lambda: load_certificate(folder.certificate_file), None)
    ordinary = RunRecord(folder, config, results=results).ordinary
    attack = read(folder.attack_file, lambda: _attack(folder.attack_file, ordinary), None)
    if attack is not None and certificate is not None and not same_certificate(attack, certificate):
        problems.append(
            "attack.json is about another certificate than certificate.json and is left out; attack again with: "
            f"onelip attack {path}"
        )
        attack = None
    others: list[dict[str, Any]] = []
    for file in _other_attacks(folder, attack):
        found = read(file, partial(_json_with, file, COMMON_KEYS), None)
        if found is not None and _about(found, results, certificate):
            others.append(found)
    attacks = (*([] if attack is None else [attack]), *others)
    files = sorted(folder.path.glob("attack-*.npz"))
    points = [read(file, partial(read_points, file), None) for file in files]
    kept = tuple(found for found in points if found is not None)
    return RunRecord(folder, config, metrics, results, attack, certificate, tuple(problems), norms, attacks, kept)


def _other_attacks(folder: RunFolder, attack: Mapping[str, Any] | None) -> list[Path]:
    # Without a certificate, that of the configuration is one of them.
    ordinary = [folder.attack_file] if attack is None and not folder.certificate_file.exists() else []
    return [*ordinary, *sorted(folder.path.glob("attack-*.json"))]


# Attacks on other weights or on images of another certificate are left out, as they are in the results.
def _about(attack: Mapping[str, Any], results: Mapping[str, Any] | None, certificate: Certificate | None) -> bool:
    weights = (results or {}).get("weights")
    if weights is not None and attack.get("epoch") != weights["epoch"]:
        return False
    if certificate is None or attack["norm"] != certificate.norm:
        return True
    return "certified_on_same" in attack and same_certificate(attack, certificate)


def same_certificate(attack: Mapping[str, Any], certificate: Certificate) -> bool:
    """Check that an attack was held against the certificate at hand.

    Args:
        attack: What `attack.json` holds.
        certificate: The certificate.

    Returns:
        Whether the certified accuracies that it quotes, on its own samples, are the certificate's.
    """
    radii = certificate.radii[even_index(len(certificate.radii), int(attack["samples"])).numpy()]
    if len(radii) != attack["samples"]:
        return False
    quoted = zip(attack["radii"], attack["certified_on_same"], strict=True)
    return all(abs(float((radii > radius).mean()) - share) < 1e-9 for radius, share in quoted)


def _results(path: Path) -> dict[str, Any]:
    value = _json_with(path, ())
    return _json_with(path, ORDINARY_KEYS if "clean_accuracy" in value else RESULT_KEYS)


# An attack on an ordinary network is no attack on a certificate; its numbers are in the results.
def _attack(path: Path, ordinary: bool) -> dict[str, Any] | None:
    value = _json_with(path, ())
    return None if ordinary and "certified_on_same" not in value else _json_with(path, ATTACK_KEYS)


def _json_with(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    value = json.loads(path.read_text("utf-8"))
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    missing = [key for key in keys if key not in value]
    if missing:
        raise ValueError(f"it lacks {', '.join(map(repr, missing))}")
    return value
