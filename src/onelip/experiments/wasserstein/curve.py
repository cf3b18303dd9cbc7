"""The picture of a training: the bound after each part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import INK, PROVED


@dataclass(frozen=True)
class BoundCurve:
    """Lower bounds of a Wasserstein distance in the course of a training.

    Attributes:
        steps: Number of steps before each measurement.
        lower_bounds: Estimates divided by the proved constant.
        standard_errors: Theirs.
        exact: The distance, where it is known.
        unit: What it is measured in.
    """

    steps: Sequence[int]
    lower_bounds: Sequence[float]
    standard_errors: Sequence[float]
    exact: float | None
    unit: str

    def plot(self, path: str | Path) -> None:
        """Draw the bounds with a band of two standard errors, and the distance as a line; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        figure = new_figure(6.4, 3.6)
        axes = plain_axes(figure)
        values, errors = np.asarray(self.lower_bounds), np.asarray(self.standard_errors)
        axes.plot(self.steps, values, color=PROVED, linewidth=1.8, marker="o", markersize=3, label="lower bound")
        axes.fill_between(
            self.steps, values - 2 * errors, values + 2 * errors, color=PROVED, alpha=0.18, linewidth=0,
            label="two standard errors",
        )  # fmt: skip
        if self.exact is not None:
            axes.axhline(self.exact, color=INK, linestyle=(0, (5, 4)), linewidth=1.2, label="exact distance")
        top = 1.06 * max(0.0, *values, self.exact or 0.0) or None
        axes.set(xlabel="critic steps", ylabel="Wasserstein-1 distance", xlim=(0, None), ylim=(min(0, *values), top))
        axes.set_title(self.unit, fontsize=8, loc="right", color=INK)
        legend_above(axes, 3)
        save(figure, path)
