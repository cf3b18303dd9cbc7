"""Write the page of a run: everything in one file that opens from disk without a network."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import onelip
from onelip.experiments.errors import UserError
from onelip.experiments.files import write_text_atomically
from onelip.experiments.report.audit import audit_rows
from onelip.experiments.report.charts import SIZE
from onelip.experiments.report.curves import accuracy_chart, learning_charts
from onelip.experiments.report.evidence import Evidence, evidence_of_run
from onelip.experiments.report.figure import write_pictures
from onelip.experiments.report.gallery import SEARCH, Example, Gallery
from onelip.experiments.report.norms import attack_rows, norms_section
from onelip.experiments.report.numbers import lower_text, plain_text, share_text, upper_text
from onelip.experiments.report.record import RunRecord, read_run
from onelip.experiments.report.robust import robust_accuracies
from onelip.experiments.report.robustness import depth_section, gradients_section, margins_section
from onelip.experiments.report.summary import (
    alarms,
    attack_summary,
    badges,
    facts,
    lead,
    other_attacks,
    radius_rows,
    relaxation_summary,
    tiles,
)


def write_report(run_folder: str | Path, *, pictures: bool = False) -> Path:
    """Write `report.html` from what a run has recorded.

    What is missing is named with the command that makes it; a file that cannot be used is named at the top. The
    search for adversarial images starts from the run's seed, so the page is the same each time.

    Args:
        run_folder: The run's folder.
        pictures: Draw what it shows of robustness as PNG and SVG files, too, into the run's folder `pictures`.

    Returns:
        Path of the page.

    Raises:
        UserError: If there is no such folder.
    """
    record = read_run(Path(run_folder))
    evidence, reason = _evidence(record)
    page = render(record, evidence, reason)
    path = record.folder.path / "report.html"
    write_text_atomically(path, page)
    if pictures:
        write_pictures(record, evidence)
    return path


def render(record: RunRecord, evidence: Evidence | None, absent: str = "") -> str:
    """Write the page of a run as text.

    Args:
        record: What the run has recorded.
        evidence: What was measured of its network, or None.
        absent: Why it was not.

    Returns:
        HTML.
    """
    certificate, name = record.certificate, (record.results or {}).get("name")
    gallery = None if evidence is None else evidence.gallery
    accuracy = [accuracy_chart(known) for known in robust_accuracies(record)]
    learning = learning_charts(record.metrics)
    stamp = record.folder.path.resolve().name
    context = {
        "title": f"{name or record.folder.path.resolve().parent.name} · {stamp}",
        "subtitle": _subtitle(record),
        "alarms": alarms(record, gallery),
        "lead": lead(record, gallery),
        "badges": badges(record, gallery),
        "tiles": tiles(record),
        "chart": None if certificate is None else accuracy[0],
        "n_attacks": len(record.attacks),
        "other_norm": [] if certificate is None else accuracy[1:],
        "accuracy": accuracy,
        "margins": None if evidence is None else margins_section(record, evidence),
        "depth": None if evidence is None else depth_section(evidence, record),
        "gradients": None if evidence is None else gradients_section(evidence, record),
        "attacked": attack_summary(record),
        "other_attacks": other_attacks(record),
        "radius_rows": radius_rows(record),
        "norm": "l2" if certificate is None else certificate.norm,
        "relaxed": relaxation_summary(record),
        "learning": learning,
        "learning_note": _learning_note(record),
        "layers": _layers(record),
        "norms": norms_section(record),
        "under_attack": attack_rows(record),
        # The sections about a certificate make no sense for a run that was to have none.
        "certifiable": not record.ordinary or certificate is not None,
        "gallery": _gallery_context(gallery) if gallery is not None and gallery.examples else None,
        "gallery_absent": absent or _no_image(evidence, record),
        "facts": facts(record),
        "commands": _commands(record.folder.path),
        "config": record.config_text,
        "version": onelip.__version__,
        "size": SIZE,
        "css": _asset("report.css"),
        "js": _asset("report.js"),
    }
    return str(_template().render(context))


@cache
def _template() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(lambda name: (files(__package__) / "templates" / name).read_text("utf-8"))
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


# Our own style and script go in as they are; everything else is escaped.
def _asset(name: str) -> Any:
    from markupsafe import Markup

    return Markup((files(__package__) / "templates" / name).read_text("utf-8").strip())  # noqa: S704


def _evidence(record: RunRecord) -> tuple[Evidence | None, str]:
    if record.certificate is None and not record.ordinary:
        return None, f"There is no certificate yet. Make it with: onelip certify {record.folder.path}"
    try:
        return evidence_of_run(record), ""
    except UserError as error:
        return None, f"The images cannot be shown: {error}"


def _no_image(evidence: Evidence | None, record: RunRecord) -> str:
    if record.certificate is not None:
        return "No image is certified at a positive radius."
    return "" if evidence is None else "No image is classified correctly."


def _gallery_context(gallery: Gallery) -> Mapping[str, Any]:
    certified = any(e.radius is not None for e in gallery.examples)
    ranked = "certified radius" if certified else "margin"
    note = (
        f"Chosen by a fixed rule, not by eye: images that are classified correctly are ranked by {ranked}; shown are "
        "the smallest, others evenly spread over the ranks, and those that an attack changed most easily. Of what the "
        "attacks left and a search for this page found, the nearest counts; nearer ones may exist. Distances are "
        f"{gallery.norm} in pixel units."
    )
    examples = [_example_context(example, gallery) for example in gallery.examples]
    return {"examples": examples, "reach": plain_text(gallery.reach), "note": note, "certified": certified}


def _example_context(e: Example, gallery: Gallery) -> Mapping[str, Any]:
    radius, end = e.radius or 0.0, min(e.distance, gallery.scale)
    return {
        "index": e.index,
        "label": e.label,
        "answer": e.answer,
        "radius": None if e.radius is None else lower_text(e.radius, 3),
        "distance": upper_text(e.distance, 3),
        "source": "nearest found" if e.source == SEARCH else f"by {e.source}",
        "gain": plain_text(float(f"{e.gain:.2g}")),
        "picture": e.picture,
        "adversarial": e.adversarial,
        "difference": e.difference,
        "inside": round(100 * radius / gallery.scale, 2),
        "between": round(max(0.0, 100 * (end - radius) / gallery.scale), 2),
    }


def _layers(record: RunRecord) -> Mapping[str, Any] | None:
    certificate = record.certificate
    if certificate is None:
        return None
    bound, both = certificate.bound, "√2" if certificate.norm == "l2" else "2"
    head = (
        f"The radii divide by the constant up to the last layer, {upper_text(certificate.head_constant)}, and by the "
        f"distance of the rows of that layer, pair by pair."
        if certificate.head == "linear"
        else "The radii divide by the sums of the constants of the two logits, which come from separate networks."
        if certificate.head == "joined"
        else f"The radii divide by the constant of the whole network times {both}."
    )
    text = f"Upper bounds of the {certificate.norm} Lipschitz constant of each part, rounded up. {head}"
    return {"rows": audit_rows(certificate), "text": text, "total": upper_text(bound.value), "proved": bound.proved}


def _subtitle(record: RunRecord) -> str:
    results = record.results or {}
    parts = [str(results[key]) for key in ("data", "model", "layer") if key in results]
    if "seed" in results:
        parts.append(f"seed {results['seed']}")
    return " · ".join(parts) or str(record.folder.path)


def _learning_note(record: RunRecord) -> str:
    rows = record.metrics
    if not rows:
        return ""
    text = f"{len(rows)} epoch{'s' if len(rows) > 1 else ''}, measured on the training images"
    if any("val_loss" in row for row in rows):
        text += " and on the held-out validation images"
    text += "; the test images play no part here."
    if not record.ordinary:
        text = text.replace("validation images;", "validation images (certified: those too);")
    weights = (record.results or {}).get("weights")
    if weights is None:
        return text
    if weights["rule"] == "last":
        return f"{text} The weights after the last epoch were kept."
    epoch = int(weights["epoch"])
    kind = "" if record.ordinary else "certified "
    column = "val_accuracy" if record.ordinary else "val_certified_accuracy"
    score = next((row.get(column) for row in rows if row.get("epoch") == epoch - 1), None)
    text += f" Epoch {epoch} was kept: its {kind}validation accuracy"
    text += f"{'' if score is None else f', {share_text(score)},'} is the highest."
    return text


def _commands(folder: Path) -> Mapping[str, str]:
    where = shlex.quote(str(folder))
    return {
        "certify": f"onelip certify {where}",
        "attack": f"onelip attack {where}",
        "verify": f"onelip verify {where}",
        "resume": f"onelip train --resume {where}",
    }
