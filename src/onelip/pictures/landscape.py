"""Pictures of critics on a line and on a plane, beside the functions that they are to find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import ATTACK, INK, PROVED

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Landscape1d:
    """A critic on a line.

    Attributes:
        z: `(n,)` points, rising.
        learned: `(n,)` values of the critic, divided by its constant.
        best: `(n,)` values of a function that attains the distance.
        x: Samples of the distribution where it is to be high.
        y: Samples of that where it is to be low.
        name: What `best` is.
    """

    z: Floats
    learned: Floats
    best: Floats
    x: Floats
    y: Floats
    name: str

    def plot(self, path: str | Path) -> None:
        """Draw both curves above the samples; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        figure = new_figure(6.4, 3.6)
        axes = plain_axes(figure)
        axes.plot(self.z, self.best, color=INK, linestyle=(0, (5, 4)), linewidth=1.4, label=self.name)
        axes.plot(self.z, self.learned, color=PROVED, linewidth=2, alpha=0.85, label="critic / constant")
        low = min(self.learned.min(), self.best.min())
        height = max(self.learned.max(), self.best.max()) - low
        for values, colour, label, row in ((self.x, PROVED, "samples of p", 1), (self.y, ATTACK, "samples of q", 2)):
            level = np.full(len(values), low - 0.07 * row * height)
            axes.plot(values, level, "|", color=colour, markersize=9, alpha=0.6, label=label)
        axes.set(xlabel="sample", ylabel="value")
        legend_above(axes, 4)
        save(figure, path)


@dataclass(frozen=True, eq=False)
class Landscape2d:
    """A critic on a plane.

    Attributes:
        first: `(n,)` coordinates along the first axis, rising.
        second: `(m,)` coordinates along the second.
        learned: `(n, m)` values of the critic, divided by its constant.
        best: `(n, m)` values of a function that attains the distance.
        x: `(k, 2)` samples of the distribution where it is to be high.
        y: `(l, 2)` samples of that where it is to be low.
        name: What `best` is.
    """

    first: Floats
    second: Floats
    learned: Floats
    best: Floats
    x: Floats
    y: Floats
    name: str

    def plot(self, path: str | Path) -> None:
        """Draw both functions side by side, with the samples; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        figure = new_figure(8.6, 3.9)
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        values = np.concatenate([self.learned.ravel(), self.best.ravel()])
        levels = np.linspace(values.min(), values.max(), 17) if np.ptp(values) > 0 else np.array([-1.0, 1.0])
        for axes, shown, title in ((left, self.learned, "critic / constant"), (right, self.best, self.name)):
            filled = axes.contourf(self.first, self.second, shown.T, levels=levels, cmap="cividis")
            axes.contour(self.first, self.second, shown.T, levels=levels, colors="white", linewidths=0.4, alpha=0.6)
            self._samples(axes)
            axes.set_title(title, fontsize=9, loc="left")
            axes.set_aspect("equal")
        left.legend(frameon=True, fontsize=7, loc="upper left", markerscale=1.6)
        figure.colorbar(filled, ax=[left, right], shrink=0.85, label="value")
        save(figure, path)

    def _samples(self, axes: Any) -> None:
        axes.scatter(*self.x.T, s=9, color="#ffffff", edgecolor=PROVED, linewidth=0.8, label="samples of p", zorder=3)
        axes.scatter(*self.y.T, s=7, color=ATTACK, edgecolor="white", linewidth=0.3, label="samples of q", zorder=2)
