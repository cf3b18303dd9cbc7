"""The numbers at the top of the page, its warnings, and where the numbers come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from onelip.certify.checker import MEANINGS
from onelip.experiments.report.gallery import Gallery
from onelip.experiments.report.norms import norm_tiles
from onelip.experiments.report.numbers import (
    MISSING,
    duration_text,
    plain_text,
    share_text,
    upper_text,
)
from onelip.experiments.report.record import RunRecord

SHARE_TOLERANCE = 1e-12
"""Shares of the same samples that differ by less are the same."""

Shown = Mapping[str, Any]

_ATTACKS = {
    "pgd": "projected gradient descent",
    "apgd": "projected gradient descent and both kinds of auto-PGD",
    "apgd-ce": "auto-PGD on the cross-entropy",
    "apgd-t": "targeted auto-PGD",
    "fgsm": "fast gradient sign method",
    "bim": "basic iterative method",
    "mim": "momentum iterative method",
    "autoattack": "AutoAttack",
    "cw": "attack of Carlini and Wagner",
    "deepfool": "DeepFool",
    "ddn": "DDN",
    "fmn": "fast minimum-norm attack",
    "boundary": "boundary attack",
    "hopskipjump": "HopSkipJump",
    "pointwise": "pointwise attack",
}


def violations(record: RunRecord, gallery: Gallery | None) -> list[str]:
    """Look for attacks that beat the certificate, which cannot happen if both are right.

    Args:
        record: What the run has recorded.
        gallery: Adversarial images found for the page.

    Returns:
        One sentence for each contradiction.
    """
    found = []
    for a in record.attacks:
        if "certified_on_same" not in a:
            continue
        for radius, accuracy, certified in zip(a["radii"], a["accuracy"], a["certified_on_same"], strict=True):
            if accuracy < certified - SHARE_TOLERANCE:
                found.append(
                    f"At radius {plain_text(radius)} the {a['norm']} attack left {share_text(accuracy)} correct, but "
                    f"{share_text(certified)} are certified: the certificate or the network that was attacked is wrong."
                )
    for e in gallery.examples if gallery is not None else ():
        if e.radius is not None and not e.consistent:
            found.append(
                f"Image {e.index} is certified within {plain_text(e.radius)}, but its answer was changed at distance "
                f"{plain_text(e.distance)}: the certificate is wrong."
            )
    return found


def alarms(record: RunRecord, gallery: Gallery | None) -> list[str]:
    """Collect what the reader must not miss.

    Args:
        record: What the run has recorded.
        gallery: The gallery, or None.

    Returns:
        Sentences, the gravest first.
    """
    warnings = violations(record, gallery)
    if record.certificate is not None and not record.certificate.bound.proved:
        method = record.certificate.bound.method
        warnings.append(f"The Lipschitz constant is an ESTIMATE, so nothing on this page is proved: {method}.")
    return [*warnings, *record.problems]


def badges(record: RunRecord, gallery: Gallery | None) -> list[Shown]:
    """State what was checked.

    Args:
        record: What the run has recorded.
        gallery: The gallery, or None.

    Returns:
        Text and CSS class of each badge.
    """
    shown: list[Shown] = []
    if record.ordinary and record.certificate is None:
        shown.append({"text": "nothing is proved", "look": ""})
    beaten = violations(record, gallery)
    if record.certificate is not None:
        proved = record.certificate.bound.proved
        text = "constant proved from the stored weights" if proved else "constant is an ESTIMATE, not proved"
        shown.append({"text": text, "look": ("" if beaten else "good") if proved else "bad"})
    if beaten:
        shown.append({"text": "an attack BEAT the certificate", "look": "bad"})
    elif record.attacks and record.certificate is not None:
        shown.append({"text": "attack never beat the certificate", "look": "good"})
    elif record.certificate is not None:
        shown.append({"text": "not attacked yet", "look": ""})
    return shown


def lead(record: RunRecord, gallery: Gallery | None) -> Shown | None:
    """Say the result in one sentence; a certificate that an attack has beaten is not quoted.

    Args:
        record: What the run has recorded.
        gallery: The gallery, or None.

    Returns:
        Its parts, or None without results.
    """
    certificate, results = record.certificate, record.results
    if certificate is None:
        return None if results is None or not record.ordinary else _ordinary_lead(results)
    radii = sorted(map(float, (results or {}).get("certified", {})))
    radius = radii[0] if radii and not violations(record, gallery) else None
    return {
        "accuracy": share_text(certificate.accuracy),
        "samples": f"{len(certificate.radii):,}",
        "split": (results or {}).get("split", "certified"),
        "certified": None if radius is None else share_text(certificate.certified_accuracy(radius), guaranteed=True),
        "radius": None if radius is None else plain_text(radius),
        "proved": certificate.bound.proved,
        "norm": certificate.norm,
        "about": MEANINGS[certificate.semantics],
        "note": None,
    }


def _ordinary_lead(results: Shown) -> Shown:
    return {
        "accuracy": share_text(results["accuracy"]),
        "samples": f"{results['samples']:,}",
        "split": results.get("split", "test"),
        "certified": None,
        "note": "Nothing is proved about this network: an attack may change any of its answers. The norms below are "
        "measurements of single layers.",
    }


def tiles(record: RunRecord) -> list[Shown]:
    """Collect the headline numbers.

    Args:
        record: What the run has recorded.

    Returns:
        Name, value, small print and CSS class of each; empty without results.
    """
    results = record.results
    if results is None:
        return []

    def tile(name: str, value: str, detail: str = "", look: str = "") -> Shown:
        return {"name": name, "value": value, "detail": detail, "look": look}

    shown = [tile("clean accuracy", share_text(results["accuracy"]), f"{results.get('split', 'test')} images")]
    certified = results.get("certified", {})
    for radius in sorted(certified, key=float):
        under_attack = results["attacked"].get(radius)
        detail = "" if under_attack is None else f"under attack {share_text(under_attack)}"
        share = share_text(certified[radius], guaranteed=True)
        shown.append(tile(f"certified at {plain_text(float(radius))}", share, detail, "proved"))
    if "lipschitz_bound" in results:
        bound = results["lipschitz_bound"]
        status = "proved" if bound["proved"] else "ESTIMATE, not proved"
        shown.append(tile("Lipschitz constant ≤", upper_text(bound["value"]), f"{results.get('norm', 'l2')}, {status}"))
    shown += [tile(*texts) for texts in norm_tiles(record)]
    if "n_parameters" in results:
        shown.append(tile("parameters", f"{results['n_parameters']:,}"))
    if "train_seconds" in results:
        epochs = results.get("epochs")
        shown.append(
            tile(
                "training",
                duration_text(results["train_seconds"]),
                f"{epochs} epoch{'s' if epochs != 1 else ''}" if epochs else "",
            )
        )
    return shown


def _effort(attack: Mapping[str, Any]) -> str:
    text = f", {attack['steps']} steps" if "steps" in attack else ""
    if "restarts" in attack:
        text += f", {attack['restarts']} random start{'s' if attack['restarts'] != 1 else ''} at each radius"
    return text


def attack_summary(record: RunRecord) -> Shown | None:
    """Say how the network was attacked.

    Args:
        record: What the run has recorded.

    Returns:
        The sentence, and whether only a part of the certified images was attacked; None without an attack.
    """
    attack = record.attack
    if attack is None:
        return None
    n_certified = len(record.certificate.radii) if record.certificate is not None else attack["samples"]
    partial = attack["samples"] < n_certified
    which = f"{attack['samples']:,} of the {n_certified:,} images" if partial else f"all {attack['samples']:,} images"
    method = f"{attack['norm']} {_ATTACKS[attack.get('attack', 'pgd')]}"
    text = f"Attack: {method} on {which}{_effort(attack)}."
    if partial:
        text += f" Their clean accuracy is {share_text(attack['clean_on_same'])}."
    return {"text": text, "partial": partial}


def other_attacks(record: RunRecord) -> str:
    """Say which attacks on fewer images than were certified are drawn, since those may lie below the line of all.

    Args:
        record: What the run has recorded.

    Returns:
        A sentence, or nothing if there are none but that of the configuration.
    """
    certificate = record.certificate
    if certificate is None:
        return ""
    fewer = [a for a in record.attacks if a is not record.attack and a["samples"] < len(certificate.radii)]
    if not fewer:
        return ""
    named = ", ".join(f"{a['attack']} in {a['norm']} ({a['samples']:,})" for a in fewer)
    return f"On fewer images, and so perhaps below the line of all that are certified: {named}."


def radius_rows(record: RunRecord) -> list[Shown]:
    """Tabulate accuracies at the radii of the results and of the attack.

    Args:
        record: What the run has recorded.

    Returns:
        One row for each radius; empty without a certificate.
    """
    certificate, attack = record.certificate, record.attack
    if certificate is None:
        return []
    attacked: dict[str, tuple[float, float]] = {}
    if attack is not None:
        rows = zip(attack["radii"], attack["accuracy"], attack["certified_on_same"], strict=True)
        attacked = {f"{radius:.6g}": (accuracy, same) for radius, accuracy, same in rows}
    relaxed = (record.results or {}).get("relaxation", {}).get("certified", {})
    keys = {*(record.results or {}).get("certified", {}), *attacked} or {"0.25", "0.5", "1"}
    shown: list[Shown] = []
    for key in sorted(keys, key=float):
        accuracy, same = attacked.get(key, (math.nan, math.nan))
        row = {
            "radius": plain_text(float(key)),
            "certified": share_text(certificate.certified_accuracy(float(key)), guaranteed=True),
            "relaxed": share_text(relaxed.get(key), guaranteed=True),
            "attacked": share_text(accuracy),
            "same": share_text(same, guaranteed=True),
            "between": share_text(accuracy - same) if math.isfinite(accuracy) else MISSING,
        }
        shown.append(row)
    return shown


def relaxation_summary(record: RunRecord) -> str | None:
    """Say how the network was certified by linear relaxation.

    Args:
        record: What the run has recorded.

    Returns:
        The sentence, or None if it was not.
    """
    relaxed = (record.results or {}).get("relaxation")
    if relaxed is None:
        return None
    return (
        f"By relaxation: {relaxed['method']}, lines around the activations of {relaxed['samples']:,} images in "
        f"{duration_text(relaxed['seconds'])}. The certificate file and its check are about the constant alone."
    )


def facts(record: RunRecord) -> list[tuple[str, str]]:
    """Say where the numbers come from.

    Args:
        record: What the run has recorded.

    Returns:
        Names and values, as far as they are recorded.
    """
    results = record.results or {}
    machine = results.get("machine", {})
    certified = "" if record.certificate is None else f"{len(record.certificate.radii):,}"
    rows = {
        "data set": results.get("data"),
        "split reported on": results.get("split"),
        "images certified": certified,
        "norm": "" if record.certificate is None else record.certificate.norm,
        "semantics": "" if record.certificate is None else record.certificate.semantics,
        "model": results.get("model"),
        "layer": results.get("layer"),
        "clipping": (results.get("clipping") or {}).get("method"),
        "batch normalisation": results.get("mode"),
        "seed": results.get("seed"),
        "written": str(results.get("created", "")).replace("T", " "),
        "certificate of": "" if record.certificate is None else record.certificate.created.replace("T", " "),
        "processor": machine.get("cpu"),
        "cores": machine.get("cores"),
        "PyTorch": machine.get("torch"),
        "onelip": machine.get("onelip"),
    }
    return [(name, str(value)) for name, value in rows.items() if value not in (None, "")]
