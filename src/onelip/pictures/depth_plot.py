"""Drawings of the signal through the depth of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import ATTACK, CLEAN, PROVED

_NAMED = 40
"""Of more parts than so many, not every name fits below the axis."""


def draw_variance(names: Sequence[str], ratios: Sequence[float], path: str | Path, *, limit: float) -> None:
    """Draw the variance left after each part, as a share of that of the images.

    Args:
        names: Names of the parts.
        ratios: Their ratios.
        path: Where; its ending is the format.
        limit: Below it a part has lost the signal.
    """
    figure = new_figure(max(6.4, 1.4 + 0.24 * min(_NAMED, len(names))), 4.2)
    axes = plain_axes(figure)
    values = [1.0, *ratios]
    places = range(len(values))
    axes.axhline(limit, color=ATTACK, linewidth=1, linestyle=(0, (4, 2)), label=f"vanished below {limit:g}")
    axes.axhline(1, color=CLEAN, linewidth=1, linestyle=(0, (1, 1.5)), label="as much as the images")
    axes.plot(places, values, color=PROVED, marker="o", markersize=3.5, linewidth=1.4, label="left after the part")
    low = [(k, v) for k, v in enumerate(values) if not v >= limit]
    drawn = [(k, v) for k, v in low if math.isfinite(v) and v > 0]
    axes.plot(*(zip(*drawn, strict=True) if drawn else ((), ())), "X", color=ATTACK, markersize=8, zorder=4)
    axes.set_yscale("log")
    step = -(-len(values) // _NAMED)
    shown = [("images", *names)[k] for k in places[::step]]
    axes.set_xticks(list(places[::step]), shown, rotation=90, fontsize=7)
    axes.set_ylabel("variance, of that of the images")
    legend_above(axes, 3)
    save(figure, path)


def draw_activity(thresholds: Sequence[float], curves: Sequence[tuple[str, Sequence[float]]], path: str | Path) -> None:
    """Draw for several parts the share of units that are positive on at least a share of the images.

    Args:
        thresholds: Shares of the images, rising.
        curves: Name and shares of each part.
        path: Where; its ending is the format.
    """
    from matplotlib import colormaps

    figure = new_figure(6.4, 4.2)
    axes = plain_axes(figure)
    shades = colormaps["cividis"]
    for k, (name, shares) in enumerate(curves):
        colour = shades(0.78 * k / max(1, len(curves) - 1))
        dash = ("solid", (0, (5, 2)), (0, (1, 1.2)))[k % 3]
        percent = [100 * t for t in thresholds], [100 * share for share in shares]
        axes.plot(*percent, color=colour, linestyle=dash, linewidth=1.6, label=name if len(curves) <= 12 else None)
    axes.set(xlim=(0, 100), ylim=(0, 102))
    axes.set(xlabel="positive on at least this share of the images (%)", ylabel="units (%)")
    if 0 < len(curves) <= 12:
        legend_above(axes, 3)
    save(figure, path)
