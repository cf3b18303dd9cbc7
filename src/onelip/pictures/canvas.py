"""Figures for files: the look that all of them share, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from onelip.files import atomic_path
from onelip.pictures.colours import INK, pixel_array

Image = npt.NDArray[np.uint8]

GRID = "#e3e6ea"
"""Colour of the lines of a grid."""

_LINE, _BESIDE_AXES = 0.18, 0.8
"""Inches of a legend's line, and of what stands left of axes."""


def new_figure(width: float, height: float) -> Any:
    """Make an empty figure, without the global state of pyplot.

    Args:
        width: In inches.
        height: In inches.

    Returns:
        A matplotlib figure.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a picture needs matplotlib; install it with: pip install matplotlib") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(figure: Any) -> Any:
    """Add axes with a light grid and no frame.

    Args:
        figure: A matplotlib figure.

    Returns:
        Its axes.
    """
    axes = figure.add_subplot()
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


class Drawable(Protocol):
    """What can be drawn into axes."""

    def draw(self, axes: Any) -> None:
        """Draw it.

        Args:
            axes: Matplotlib axes.
        """


def side_by_side(
    rows: Sequence[Sequence[tuple[str, Drawable]]], path: str | Path, *, size: tuple[float, float] = (3.9, 3.3)
) -> None:
    """Draw several pictures into one file; needs matplotlib.

    Args:
        rows: Rows of titles and what is drawn below them, such as `DecisionMap` and `GradientNorms`.
        path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        size: Width and height of each, in inches.

    Raises:
        ValueError: If there is none.
    """
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise ValueError("rows in side_by_side has nothing to draw")
    figure = new_figure(size[0] * columns, size[1] * len(rows))
    for i, row in enumerate(rows):
        for j, (title, part) in enumerate(row):
            axes = figure.add_subplot(len(rows), columns, i * columns + j + 1)
            part.draw(axes)
            axes.set_title(title, fontsize=10, color=INK)
    save(figure, path)


def legend_above(axes: Any, columns: int = 4) -> None:
    """Put the legend above the axes, where it covers nothing; long entries take more lines, and the figure grows.

    Args:
        axes: Matplotlib axes with labelled artists.
        columns: Most entries in a line.
    """
    # Of a part of a figure, `figure` is the whole one.
    part, figure, used = axes.figure, axes.figure.figure, columns
    room, n_entries = part.bbox.width - _BESIDE_AXES * figure.dpi, len(axes.get_legend_handles_labels()[1])
    while True:
        legend = axes.legend(
            frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=used, borderaxespad=0.2,
            handlelength=2.2, columnspacing=1.4,
        )  # fmt: skip
        if used == 1 or legend.get_window_extent(figure.canvas.get_renderer()).width <= room:
            break
        used -= 1
    more = -(-n_entries // used) - -(-n_entries // columns)
    figure.set_figheight(figure.get_figheight() + _LINE * more)


def save(figure: Any, path: str | Path) -> None:
    """Write a figure in one step; the same figure gives the same bytes.

    Args:
        figure: A matplotlib figure.
        path: Where; its ending is the format. A file there is replaced.

    Raises:
        ValueError: If the format is unknown.
    """
    import matplotlib as mpl

    path = Path(path)
    ending = path.suffix.removeprefix(".").lower()
    if ending not in ("png", "svg", "pdf"):
        raise ValueError(f"path={str(path)!r} must end in .png, .svg or .pdf")
    dates = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with atomic_path(path) as temporary, mpl.rc_context({"svg.hashsalt": "onelip"}):
        figure.savefig(temporary, format=ending, dpi=200, metadata=dates[ending])


def mosaic(pictures: Sequence[tuple[Image, float, float]], width: float, height: float) -> Any:
    """Make a figure with small pictures, an inch to a side.

    Args:
        pictures: Each with the place of its upper left corner, in inches from the left and from above.
        width: Of the figure, in inches.
        height: Of the figure, in inches.

    Returns:
        The axes, whose units are inches from the left and from above.
    """
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    for picture, left, top in pictures:
        axes.imshow(picture, extent=(left, left + 1, top + 1, top), interpolation="none")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return axes


def drawable(image: Tensor) -> Image:
    """Make an image fit for `mosaic`.

    Args:
        image: `(C, H, W)` pixels in [0, 1].

    Returns:
        `(H, W, 3)` uint8.
    """
    array = pixel_array(image).numpy()
    return array.repeat(3, axis=2) if array.shape[2] == 1 else array
