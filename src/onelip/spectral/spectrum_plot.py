"""The picture of a spectrum: a line of dots for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onelip.files import atomic_path
from onelip.spectral.layer_spectrum import LayerSpectrum, labels

_COLOURS = {"convolution": "#1c5fb8", "dense": "#b3500c", "normalisation": "#57606b", "other": "#5a3d8a"}
_ROW_HEIGHT = 0.19
"""Inches for each layer, enough for its name."""


def draw_spectrum(rows: Sequence[LayerSpectrum], path: Path) -> None:
    """Draw the singular values of layers, one below the other, on a common logarithmic axis.

    Args:
        rows: The layers, in order of execution.
        path: Where; its ending is the format.

    Raises:
        ValueError: If there is nothing to draw, or the format is unknown.
        ModuleNotFoundError: If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a plot needs matplotlib; install it with: pip install matplotlib") from error
    if not rows:
        raise ValueError("rows=() has no layers to draw")
    figure = Figure(figsize=(6.4, 1.3 + _ROW_HEIGHT * len(rows)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    ending = path.suffix.removeprefix(".").lower()
    if ending not in canvas.get_supported_filetypes():
        raise ValueError(f"path={str(path)!r} must end in .png, .svg or .pdf")
    _fill(figure.add_subplot(), rows)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=ending, dpi=200)


def _fill(axes: Any, rows: Sequence[LayerSpectrum]) -> None:
    axes.axvline(1, color="#1f2328", linewidth=1, zorder=2.5)
    named: set[str] = set()
    for place, row in enumerate(rows):
        values = [value for value in row.values if 0 < value < float("inf")]
        if not values:
            axes.annotate("zero" if row.converged else "not finite", (1, place), fontsize=7, va="center")
            continue
        family = _family(row.kind)
        colour, label = _COLOURS[family], None if family in named else family
        named.add(family)
        axes.hlines(place, min(values[-1], 1), max(values[0], 1), color=colour, linewidth=0.7, alpha=0.35, zorder=2)
        axes.plot(values[1:], [place] * len(values[1:]), "|", color=colour, markersize=5, alpha=0.6, zorder=3)
        face = colour if row.converged else "white"
        axes.plot(values[:1], [place], "o", color=colour, markerfacecolor=face, markersize=4.5, label=label, zorder=4)
    if not all(row.converged for row in rows):
        axes.plot([], [], "o", color="black", markerfacecolor="white", markersize=4.5, label="not converged")
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), labels(rows), fontsize=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    many = max(len(row.values) for row in rows) > 1
    axes.set_xlabel("singular values, the largest as a dot" if many else "largest singular value", fontsize=9)
    _set_ticks(axes)
    axes.grid(axis="x", which="major", color="#d8dce1", linewidth=0.6, zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=5, borderaxespad=0)


# A spectrum often spans less than a power of ten, where the usual ticks would be none.
def _set_ticks(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    narrow = high / low < 200
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=15))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _family(kind: str) -> str:
    for word, family in (("Conv", "convolution"), ("Linear", "dense"), ("Norm", "normalisation")):
        if word in kind:
            return family
    return "other"
