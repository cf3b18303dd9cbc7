"""Curves of several runs on top of each other: single lines, or mean and band over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import line_style

Point = tuple[float, float]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OverlayCurves:
    """Curves in groups, such as those of the same method with several seeds.

    Attributes:
        groups: Curves by the name of their group, each of (x, y) in ascending x.
        x_label: What x is.
        y_label: What y is.
        percent: Is y a share, to be written in per cent?
        mean: Draw the mean of each group, and the band from its lowest to its highest curve, over where all of them
            are; else every curve.
        log_y: Is y drawn on a logarithmic axis?

    Raises:
        ValueError: There is no group, or one without a curve, or a curve without a point or out of order.
    """

    groups: Mapping[str, Sequence[Sequence[Point]]]
    x_label: str = "epoch"
    y_label: str = "accuracy"
    percent: bool = True
    mean: bool = True
    log_y: bool = False

    def __post_init__(self) -> None:
        if not self.groups:
            raise ValueError("groups in OverlayCurves has no curve")
        for name, curves in self.groups.items():
            if not curves or not all(curves):
                raise ValueError(f"groups[{name!r}] in OverlayCurves has no curve, or one without a point")
            for curve in curves:
                if any(a > b for (a, _), (b, _) in pairwise(curve)):
                    raise ValueError(f"groups[{name!r}] in OverlayCurves has a curve whose x is not in ascending order")

    def save(self, path: str | Path) -> None:
        """Draw them; needs matplotlib.

        Args:
            path: A .png, .svg or .pdf file; a file there is replaced.
        """
        rows = -(-len(self.groups) // 4)
        figure = new_figure(6.4, 3.6 + 0.18 * rows)
        axes = plain_axes(figure)
        for k, (name, curves) in enumerate(self.groups.items()):
            self._draw(axes, k, name, curves)
        axes.set(xlabel=self.x_label, ylabel=f"{self.y_label} (%)" if self.percent else self.y_label)
        if self.log_y:
            axes.set_yscale("log")
        legend_above(axes)
        save(figure, path)

    def _draw(self, axes: Any, k: int, name: str, curves: Sequence[Sequence[Point]]) -> None:
        colour, dash, marker = line_style(k)
        scale = 100 if self.percent else 1
        look = {"color": colour, "linestyle": dash}
        if not self.mean or len(curves) == 1:
            for j, curve in enumerate(curves):
                x, y = np.array(curve, dtype=np.float64).T
                single = {"marker": marker} if len(x) == 1 else {}
                axes.plot(x, scale * y, **look, **single, linewidth=1.4, label=name if j == 0 else None)
            return
        x, middle, low, high = mean_and_band(curves)
        axes.plot(x, scale * middle, **look, linewidth=1.9, label=f"{name} ({len(curves)})")
        axes.fill_between(x, scale * low, scale * high, color=colour, alpha=0.14, linewidth=0)


def mean_and_band(curves: Sequence[Sequence[Point]]) -> tuple[Values, Values, Values, Values]:
    """Average curves, joined by straight lines, over where all of them are.

    Args:
        curves: Of (x, y) in ascending x; at least one.

    Returns:
        x, mean, lowest and highest; x are the places of all curves from the last beginning to the first end. Curves
        that have no place in common give empty arrays.
    """
    arrays = [np.array(curve, dtype=np.float64) for curve in curves]
    start, end = max(a[0, 0] for a in arrays), min(a[-1, 0] for a in arrays)
    x = np.unique(np.concatenate([a[:, 0] for a in arrays]))
    x = x[(x >= start) & (x <= end)]
    if not len(x):
        return x, x, x, x
    y = np.stack([np.interp(x, a[:, 0], a[:, 1]) for a in arrays])
    return x, y.mean(0), y.min(0), y.max(0)
