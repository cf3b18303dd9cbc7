"""Drawings of critics on the line and in the plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import ATTACK, CLEAN, INK, PROVED

Values = npt.NDArray[np.float64]

_WIDTH, _PANEL = 9.6, 3.8
"""Inches of the figure, and of one of its four panels."""


def draw_curve(
    positions: Values,
    critic: Values,
    dual: Values,
    samples_p: Values,
    samples_q: Values,
    path: str | Path,
    *,
    dual_of: str,
) -> None:
    """Draw a critic and a best potential on the line, with the samples below.

    Args:
        positions: `(k,)`.
        critic: `(k,)`.
        dual: `(k,)`.
        samples_p: `(n,)`.
        samples_q: `(m,)`.
        path: Where; its ending is the format.
        dual_of: What the potential is the best for.
    """
    figure = new_figure(6.4, 3.8)
    axes = plain_axes(figure)
    axes.plot(positions, critic, color=PROVED, linewidth=2.2, label="critic / proved constant")
    axes.plot(positions, dual, color=INK, linewidth=1.3, linestyle=(0, (4, 2)), label=f"best potential of {dual_of}")
    low = float(min(critic.min(), dual.min()))
    step = 0.07 * (float(max(critic.max(), dual.max())) - low or 1.0)
    for k, (samples, colour, name) in enumerate(
        ((samples_p, CLEAN, "samples of p"), (samples_q, ATTACK, "samples of q"))
    ):
        height = np.full(len(samples), low - (k + 1) * step)
        axes.plot(samples, height, "|", color=colour, markersize=9, markeredgewidth=1.2, alpha=0.8, label=name)
    axes.set(xlim=(positions[0], positions[-1]), xlabel="x", ylabel="value (units of distance)")
    legend_above(axes, 2)
    save(figure, path)


def draw_surface(
    axes_values: tuple[Values, Values],
    critic: Values,
    dual: Values,
    gradient_norm: Values,
    samples: tuple[Values, Values],
    path: str | Path,
    *,
    dual_of: str,
) -> None:
    """Draw a critic, a best potential, their difference and the norm of the critic's gradient in the plane.

    Args:
        axes_values: `(w,)` first coordinates and `(h,)` second ones.
        critic: `(h, w)`.
        dual: `(h, w)`.
        gradient_norm: `(h, w)`.
        samples: `(n, 2)` of each distribution.
        path: Where; its ending is the format.
        dual_of: What the potential is the best for.
    """
    x, y = axes_values
    shape = (y[-1] - y[0]) / (x[-1] - x[0])
    figure = new_figure(_WIDTH, min(_WIDTH, 1.5 + 2 * _PANEL * shape))
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    both = np.stack([critic, dual])
    heights = _levels(float(both.min()), float(both.max()))
    off = max(float(np.abs(critic - dual).max()), 1e-3)
    drawn = (
        ("critic / proved constant", critic, heights, "cividis"),
        (f"best potential of {dual_of}", dual, heights, "cividis"),
        ("norm of the critic's gradient / constant", gradient_norm, np.linspace(0, 1, 11), "Blues"),
        ("critic - best potential", critic - dual, _levels(-off, off), _signed()),
    )
    for panel, (title, values, levels, colours) in zip(panels.flat, drawn, strict=True):
        picture = panel.contourf(x, y, np.clip(values, levels[0], levels[-1]), levels=levels, cmap=colours)
        if colours == "cividis":
            panel.contour(x, y, values, levels=levels, colors="white", linewidths=0.35, linestyles="solid", alpha=0.6)
        _scatter(panel, samples)
        panel.set_title(title, fontsize=9, loc="left", color=INK)
        panel.set_aspect("equal")
        panel.tick_params(labelsize=8)
        bar = figure.colorbar(picture, ax=panel, aspect=14, pad=0.02, ticks=levels[::2])
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False, fontsize=8, markerscale=2)
    save(figure, path)


def _levels(low: float, high: float) -> Values:
    from matplotlib.ticker import MaxNLocator

    return np.asarray(MaxNLocator(16).tick_values(low, high if high > low else low + 1.0))


def _scatter(panel: Any, samples: tuple[Values, Values]) -> None:
    for points, colour, marker, name in (
        (samples[0], "white", "o", "samples of p"),
        (samples[1], ATTACK, "^", "samples of q"),
    ):
        panel.scatter(*points.T, s=9, marker=marker, color=colour, edgecolors=INK, linewidths=0.4, label=name, zorder=3)


def _signed() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signed", [ATTACK, "#f7f7f7", PROVED])
