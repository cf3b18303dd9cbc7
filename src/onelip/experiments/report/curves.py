"""The charts of a run: certified accuracy against the radius, and the learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onelip.experiments.evaluation import even_index
from onelip.experiments.report.charts import Axis, Chart, Series, make_chart
from onelip.pictures import RobustAccuracy, UnderAttack
from onelip.pictures.accuracy import ROOM, certified_curve

LOOKS = ("attacked", "attacked second", "attacked third", "attacked fourth", "attacked fifth")
"""CSS classes of several attacks, told apart by dash and colour."""


def accuracy_chart(known: RobustAccuracy) -> Chart:
    """Draw certified accuracy, and accuracy under every attack, against the radius.

    Args:
        known: What is known of the accuracy in one norm; the first attack is that of the configuration.

    Returns:
        The chart.
    """
    limit = known.limit
    lines = [Series("clean", "clean", [(0.0, known.clean), (limit, known.clean)])]
    if known.certified is not None:
        lines.append(Series("certified", "certified", certified_curve(known.certified, limit), steps=True, area=True))
    band = None
    for k, attack in enumerate(known.attacks):
        # In steps, since an image that was changed within one radius can be changed within every larger one.
        line = Series(_name(known, attack), LOOKS[k % len(LOOKS)], attack.points, steps=True, dots=True)
        lines.append(line)
        if k == 0 and known.certified is not None:
            held = _certified_of_attacked(known.certified, attack.n_images, attack.points[-1][0])
            lines += [held] if attack.n_images < len(known.certified) else []
            band = (line, held)
    if known.relaxed:
        # Single points: nothing was computed in between.
        points = [point for r, share in known.relaxed for point in ((r, share), (r, math.nan))]
        lines.append(Series("by relaxation", "relaxed", points, dots=True))
    axes = Axis(f"{known.norm} radius", 0.0, limit), Axis("accuracy", 0.0, 1.0, percent=True)
    return make_chart(f"Accuracy against the {known.norm} radius", _describe(known), axes, lines, band=band)


def _name(known: RobustAccuracy, attack: UnderAttack) -> str:
    name = "under attack" if len(known.attacks) == 1 and known.certified is not None else f"under {attack.name}"
    partial = known.certified is not None and attack.n_images < len(known.certified)
    return f"{name} ({attack.n_images:,} images)" if partial else name


def _certified_of_attacked(certified: np.ndarray[Any, Any], n_attacked: int, limit: float) -> Series:
    radii = certified[even_index(len(certified), n_attacked).numpy()]
    points = certified_curve(radii, limit) if limit > 0 else []
    return Series("certified, of these", "held", points, steps=True)


def _describe(known: RobustAccuracy) -> str:
    text = f"Clean accuracy is {known.clean:.1%}."
    if known.certified is not None:
        median = float(np.median(known.certified))
        text = f"Certified accuracy falls from {float((known.certified > 0).mean()):.1%} at radius 0"
        text += f"; half of the images are certified beyond {median:.3g}." if median > 0 else "."
    for attack in known.attacks:
        if attack.radii:
            text += f" Under {attack.name}, accuracy is {attack.accuracy[-1]:.1%} at radius {attack.radii[-1]:.3g}."
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
