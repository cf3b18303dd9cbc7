"""The charts of a run: certified accuracy against the radius, and the learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onelip.certify import Certificate
from onelip.experiments.evaluation import even_index
from onelip.experiments.report.charts import SIZE, Axis, Chart, Point, Series, make_chart

ROOM = 1.06
"""Axes reach this much beyond the last value."""


def certified_curve(radii: Sequence[float] | np.ndarray[Any, Any], limit: float) -> list[Point]:
    """Count the samples certified beyond each radius.

    Args:
        radii: Certified radius of each sample, 0 where the prediction is wrong.
        limit: Largest radius of interest.

    Returns:
        (radius, share of samples whose certified radius is greater): the share holds from its radius to the next,
        from 0 to `limit`. Steps closer than 1/1000 of `limit` become one, at the smallest of their radii, so the curve
        is never above the true one.
    """
    values = np.sort(np.asarray(radii, dtype=np.float64))
    corners = np.unique(values[(values > 0) & (values < limit)])
    shares = 1 - np.searchsorted(values, [0.0, *corners, limit], side="right") / len(values)
    points, cell_start = [(0.0, float(shares[0]))], -1
    for radius, share in zip(corners.tolist(), shares[1:-1].tolist(), strict=True):
        cell = int(radius / limit * SIZE)
        if cell == cell_start:
            points[-1] = (points[-1][0], share)
        else:
            points.append((radius, share))
            cell_start = cell
    return [*points, (limit, float(shares[-1]))]


def radius_limit(radii: Sequence[float] | np.ndarray[Any, Any], attacked: Sequence[float]) -> float:
    """Choose where the axis of radii ends.

    Args:
        radii: Certified radius of each sample.
        attacked: Radii of the attack.

    Returns:
        A radius beyond 99 % of the positive ones and beyond every attacked one; 1 if there is none.
    """
    values = np.asarray(radii, dtype=np.float64)
    positive = values[values > 0]
    ends = [float(np.quantile(positive, 0.99))] if len(positive) else []
    return ROOM * max([*ends, *attacked], default=1.0 / ROOM)


def certified_chart(certificate: Certificate, attack: Mapping[str, Any] | None) -> Chart:
    """Draw certified accuracy and accuracy under attack against the radius.

    Args:
        certificate: The certificate.
        attack: What `attack.json` holds, or None.

    Returns:
        The chart.
    """
    attacked = [] if attack is None else [float(r) for r in attack["radii"]]
    limit = radius_limit(certificate.radii, attacked)
    certified = Series("certified", "certified", certified_curve(certificate.radii, limit), steps=True, area=True)
    clean = Series("clean", "clean", [(0.0, certificate.accuracy), (limit, certificate.accuracy)])
    lines, band = [clean, certified], None
    if attack is not None:
        n_attacked = int(attack["samples"])
        partial = n_attacked < len(certificate.radii)
        start = [] if attacked and attacked[0] == 0 else [(0.0, float(attack["clean_on_same"]))]
        points = [*start, *zip(attacked, map(float, attack["accuracy"]), strict=True)]
        name = f"under attack ({n_attacked:,} images)" if partial else "under attack"
        # In steps, since an image that was changed within one radius can be changed within every larger one.
        under_attack = Series(name, "attacked", points, steps=True, dots=True)
        held = _certified_of_attacked(certificate, n_attacked, points[-1][0])
        lines += [under_attack, *([held] if partial else [])]
        band = (under_attack, held)
    axes = Axis(f"{certificate.norm} radius", 0.0, limit), Axis("accuracy", 0.0, 1.0, percent=True)
    return make_chart("Certified accuracy against radius", _describe(certificate, attack), axes, lines, band=band)


def _certified_of_attacked(certificate: Certificate, n_attacked: int, limit: float) -> Series:
    radii = certificate.radii[even_index(len(certificate.radii), n_attacked).numpy()]
    points = certified_curve(radii, limit) if limit > 0 else []
    return Series("certified, of these", "held", points, steps=True)


def _describe(certificate: Certificate, attack: Mapping[str, Any] | None) -> str:
    median = float(np.median(certificate.radii))
    text = f"Certified accuracy falls from {certificate.certified_accuracy(0.0):.1%} at radius 0"
    text += f"; half of the images are certified beyond {median:.3g}." if median > 0 else "."
    if attack is not None and attack["radii"]:
        text += f" Under attack, accuracy is {attack['accuracy'][-1]:.1%} at radius {attack['radii'][-1]:.3g}."
    return text


LOSS = (("train_loss", "training", "train"), ("val_loss", "validation", "validation"))
ACCURACY = (
    ("train_accuracy", "training", "train"),
    ("val_accuracy", "validation", "validation"),
    ("val_certified_accuracy", "certified", "certified"),
)
LEARNING_RATE = (("learning_rate", "learning rate", "validation"),)

Columns = Sequence[tuple[str, str, str]]
"""Column of `metrics.csv`, name in the legend, CSS class."""


def learning_charts(rows: Sequence[Mapping[str, float]]) -> list[Chart]:
    """Draw how a training went.

    Args:
        rows: What `read_metrics` returns.

    Returns:
        Loss, accuracy and learning rate against the epoch, as far as they are recorded.
    """
    charts = [
        _learning_chart("Loss", "loss", rows, LOSS, percent=False),
        _learning_chart("Accuracy", "accuracy", rows, ACCURACY, percent=True),
        _learning_chart("Learning rate", "learning rate", rows, LEARNING_RATE, percent=False),
    ]
    return [chart for chart in charts if chart is not None]


def _learning_chart(
    title: str, label: str, rows: Sequence[Mapping[str, float]], columns: Columns, *, percent: bool
) -> Chart | None:
    lines = []
    for column, name, look in columns:
        points = [(row["epoch"] + 1, row[column]) for row in rows if column in row and "epoch" in row]
        if any(math.isfinite(y) for _, y in points):
            lines.append(Series(name, look, points))
    if not lines:
        return None
    epochs = [x for line in lines for x, _ in line.points]
    low, high = min(epochs), max(epochs)
    x = Axis("epoch", low, high, whole=True) if high > low else Axis("epoch", low - 0.5, low + 0.5, whole=True)
    description = f"{title} over {len(rows)} epochs: " + "; ".join(map(_course, lines)) + "."
    return make_chart(title, description, (x, _vertical(label, lines, percent)), lines)


def _vertical(label: str, lines: Sequence[Series], percent: bool) -> Axis:
    values = [y for line in lines for _, y in line.points if math.isfinite(y)]
    low, high = min(values), max(values)
    if percent:
        start = math.floor(10 * low) / 10
        return Axis(label, min(start, 0.9), 1.0, percent=True)
    high = high * ROOM if high > 0 else 1.0
    return Axis(label, min(0.0, low * ROOM), high)


def _course(line: Series) -> str:
    values = [y for _, y in line.points if math.isfinite(y)]
    return f"{line.name} from {values[0]:.3g} to {values[-1]:.3g}"
