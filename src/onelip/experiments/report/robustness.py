"""The sections of the page about margins, the signal through the depth, and gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onelip.experiments.report.charts import Axis, Chart, Series, make_chart
from onelip.experiments.report.evidence import Evidence
from onelip.experiments.report.images import data_uri
from onelip.experiments.report.numbers import plain_text, shape_text, share_text, upper_text
from onelip.experiments.report.record import RunRecord
from onelip.pictures import DepthProfile, PixelMargins
from onelip.pictures.margins import certified_outline

N_ACTIVATIONS = 5
"""So many activations have a curve, evenly spread over the depth."""

LOOKS = tuple(f"depth{k}" for k in range(N_ACTIVATIONS))
"""CSS classes of these curves, from the first to the last."""

GRADIENT_SIDE = 32
"""Pictures of gradients are noisy and a hundred, so files of larger ones would be large."""

ROOM = 1.06


def radii_of(record: RunRecord) -> list[float]:
    """Say which radii a run is about.

    Args:
        record: What the run has recorded.

    Returns:
        The radii of its results, rising; empty for a run that proves nothing.
    """
    return sorted(map(float, (record.results or {}).get("certified", {})))


def margins_section(record: RunRecord, evidence: Evidence) -> Mapping[str, Any]:
    """Show how the margins are distributed.

    Args:
        record: What the run has recorded.
        evidence: What was measured.

    Returns:
        A chart and texts.
    """
    margins = evidence.margins
    counts = margins.histogram()
    edges = counts.edges.tolist()

    def bars(name: str, look: str, heights: Sequence[int], *, area: bool) -> Series:
        return Series(name, look, list(zip(edges, [*map(float, heights), 0.0], strict=True)), steps=True, area=area)

    lines = [
        bars(f"right ({int(counts.right.sum()):,})", "right", counts.right.tolist(), area=True),
        bars(f"wrong ({int(counts.wrong.sum()):,})", "wrong", counts.wrong.tolist(), area=True),
    ]
    tallest = max(1, *counts.right.tolist(), *counts.wrong.tolist())
    if evidence.radii is not None:
        outline = certified_outline(evidence.radii, counts.edges).tolist()
        tallest = max(tallest, *outline)
        lines.append(bars("certified radii", "outline", outline, area=False))
    room = 0.02 * (edges[-1] - edges[0])
    axes = Axis(margins.unit, edges[0] - room, edges[-1] + room), Axis("images", 0.0, ROOM * tallest, whole=True)
    rules = ("configured radii", [] if margins.norm is None else radii_of(record))
    known = margins.values[np.isfinite(margins.values)]
    description = f"Histogram of {len(known):,} margins"
    description += f"; half of them are above {np.median(known):.3g}." if len(known) else "."
    return {
        "chart": make_chart("Margins", description, axes, lines, rules=rules),
        "text": _margins_text(record, evidence),
        "note": _margins_note(margins, evidence.radii is not None),
    }


def _margins_note(margins: PixelMargins, certified: bool) -> str:
    note = "The bars meet at 0, so that right and wrong answers never share one."
    if certified:
        note += " The outline is the certified radii, which use a constant for each pair of classes and may be larger."
    n_unknown = int((~np.isfinite(margins.values)).sum())
    return note + (f" Margins of {n_unknown:,} images are no numbers and are left out." if n_unknown else "")


def _margins_text(record: RunRecord, evidence: Evidence) -> str:
    n = f"{len(evidence.margins.values):,} images"
    if evidence.margins.norm is None or record.certificate is None:
        return (
            f"By how much the logit of the right class leads over the next one, of {n}; left of 0 the answer is wrong. "
            "No constant is proved, so a lead says nothing about how far an image may change."
        )
    both = "√2" if evidence.margins.norm == "l2" else "2"
    constant = upper_text(record.certificate.bound.value)
    return (
        f"The lead of the right logit of {n}, divided by {both} times the constant {constant}: an image has to change "
        "by at least so much until a right answer is wrong, or, left of 0, a wrong one right."
    )


def depth_section(evidence: Evidence, record: RunRecord) -> Mapping[str, Any]:
    """Show how much of the variance of the images is left after each part.

    Args:
        evidence: What was measured.
        record: What the run has recorded.

    Returns:
        Charts, rows of a table and texts.
    """
    profile = evidence.depth
    if profile is None:
        return {"absent": evidence.depth_absent}
    rows = [
        {
            "name": part.name,
            "detail": f"{part.kind} → {shape_text(part.shape)}",
            "variance": f"{part.variance:.3g}",
            "ratio": f"{part.ratio:.3g}",
            "constant": share_text(part.constant),
            "dead": share_text(part.dead),
            "collapsed": part.collapsed,
        }
        for part in profile.parts
    ]
    first = profile.first_collapsed
    limit = share_text(profile.collapse_below)
    alarm = (
        "" if first is None else f"After {first.name} less than {limit} of the variance is left: the signal vanishes"
    )
    note = "" if first is not None else f"No part leaves less than {limit} of it."
    charts = [variance_chart(profile, record), activity_chart(profile)]
    return {"absent": "", "rows": rows, "alarm": alarm, "note": note, "charts": charts, "n": f"{profile.n_images:,}"}


def variance_chart(profile: DepthProfile, record: RunRecord) -> Chart:
    """Draw the variance left after each part, and the most that the proved constants allow.

    Args:
        profile: What was measured.
        record: What the run has recorded; l2 constants bound variances.

    Returns:
        The chart.
    """
    ratios = [1.0, *(part.ratio for part in profile.parts)]
    points = [(float(k), r if math.isfinite(r) and r > 0 else math.nan) for k, r in enumerate(ratios)]
    known = [y for _, y in points if math.isfinite(y)]
    n = float(len(profile.parts))
    lines = [
        Series("left after the part", "certified", points, dots=True),
        Series("vanished", "limit", [(0.0, profile.collapse_below), (n, profile.collapse_below)]),
    ]
    certificate = record.certificate
    if certificate is not None and certificate.norm == "l2":
        squares = {layer.name: layer.cumulative.value**2 for layer in certificate.bound.layers}
        allowed = [(float(k), squares.get(part.name, math.nan)) for k, part in enumerate(profile.parts, start=1)]
        lines.append(Series("at most, by the constants", "clean", [(0.0, 1.0), *(p for p in allowed if p[1] < 1e9)]))
        known += [y for _, y in allowed if y < 1e9]
    low = min([0.5 * profile.collapse_below, *known]) * 0.8
    axes = Axis("part", 0.0, max(1.0, n), whole=True), Axis("variance", low, max(known) * 1.5, log=True)
    description = (
        f"Variance after each of {len(profile.parts)} parts, of that of the images; {ratios[-1]:.3g} at the end."
    )
    return make_chart("Variance left, of that of the images", description, axes, lines)


def activity_chart(profile: DepthProfile) -> Chart:
    """Draw how many units of some activations are positive on at least a share of the images.

    Args:
        profile: What was measured.

    Returns:
        The chart.
    """
    chosen = profile.activations(N_ACTIVATIONS)
    lines = [
        Series(
            part.name,
            LOOKS[k * (len(LOOKS) - 1) // max(1, len(chosen) - 1)],
            list(zip(profile.thresholds, part.active, strict=True)),
            dots=False,
        )
        for k, part in enumerate(chosen)
    ]
    axes = (
        Axis("share of the images", 0.0, 1.0, percent=True),
        Axis("units", 0.0, 1.0, percent=True),
    )
    dead = ", ".join(f"{part.name} {part.dead:.1%}" for part in chosen)
    return make_chart("Units that are positive on at least …", f"Never positive are: {dead}.", axes, lines)


def gradients_section(evidence: Evidence, record: RunRecord) -> Mapping[str, Any]:
    """Show the gradients of the logits at an image of each class.

    Args:
        evidence: What was measured.
        record: What the run has recorded.

    Returns:
        Names, pictures with their norms, and texts.
    """
    found = evidence.gradients
    names = [evidence.classes[c] for c in found.classes]
    rows = [
        {
            "name": name,
            "index": found.index[i],
            "right": found.right[i],
            "image": data_uri(found.images[i], GRADIENT_SIDE),
            "cells": [
                {
                    "logit": logit,
                    "picture": data_uri(found.picture(i, j), GRADIENT_SIDE),
                    "norm": f"{found.norms[i, j]:.3f}",
                }
                for j, logit in enumerate(names)
            ],
        }
        for i, name in enumerate(names)
    ]
    dual = "l2" if found.norm == "l2" else "l1"
    colour = found.images.shape[1] == 3
    if colour:
        text = (
            "brighter than grey where more of a colour would raise the logit of the column, darker where it would lower"
        )
    else:
        text = "blue where a brighter pixel would raise the logit of the column, orange where it would lower"
    note = f"Below each gradient is its {dual} norm"
    if record.certificate is not None:
        note += f", at most the constant of the network, {upper_text(record.certificate.bound.value)}"
    note += "." if len(names) == len(evidence.classes) else f"; {len(names)} of {len(evidence.classes)} classes."
    return {
        "names": names,
        "rows": rows,
        "scale": plain_text(float(f"{found.scale:.2g}")),
        "meaning": text,
        "note": note,
    }
