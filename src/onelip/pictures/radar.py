"""Scores of several methods along several axes, as a radar plot."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelip.pictures.canvas import GRID, new_figure, save
from onelip.pictures.colours import CLEAN, INK, line_style

_HEIGHT, _LINE = 4.8, 0.15
"""Inches of the figure without a caption, and of a line of it, which has so many characters:"""
_CAPTION = 125


@dataclass(frozen=True)
class RadarPlot:
    """Scores, the higher the better, one polygon for each method.

    Attributes:
        axes: Their names; at least three.
        series: Scores along them by the name of the method, from 0 to `top`; NaN where one is missing.
        top: The best score.
        caption: What stands below, or empty.

    Raises:
        ValueError: There are fewer than three axes or no method, a method has another number of scores, or a score is
            outside of 0 to `top`.
    """

    axes: Sequence[str]
    series: Mapping[str, Sequence[float]]
    top: float = 5.0
    caption: str = ""

    def __post_init__(self) -> None:
        if len(self.axes) < 3:
            raise ValueError(f"axes={list(self.axes)} in RadarPlot are {len(self.axes)}; a polygon needs at least 3")
        if not 0 < self.top < math.inf:
            raise ValueError(f"top={self.top} in RadarPlot must be positive and finite")
        if not self.series:
            raise ValueError("series in RadarPlot has no method")
        for name, scores in self.series.items():
            if len(scores) != len(self.axes):
                raise ValueError(f"series[{name!r}] in RadarPlot has {len(scores)} scores for {len(self.axes)} axes")
            wrong = [score for score in scores if not (math.isnan(score) or 0 <= score <= self.top)]
            if wrong:
                raise ValueError(f"series[{name!r}] in RadarPlot has a score of {wrong[0]}; allowed is 0 to {self.top}")

    def as_data(self) -> dict[str, Any]:
        """Put it into plain lists, for pages that draw it themselves.

        Returns:
            "axes", "names", "scores" (None where one is missing), "top" and "caption".
        """
        scores = [[None if math.isnan(s) else float(s) for s in one] for one in self.series.values()]
        return {
            "axes": list(self.axes),
            "names": list(self.series),
            "scores": scores,
            "top": float(self.top),
            "caption": self.caption,
        }

    def save(self, path: str | Path) -> None:
        """Draw it; needs matplotlib.

        Args:
            path: A .png, .svg or .pdf file; a file there is replaced.
        """
        lines = textwrap.wrap(self.caption, _CAPTION)
        below = _LINE * len(lines)
        height = _HEIGHT + below
        figure = new_figure(8.4, height)
        # Names of axes would reach over the edge, which the layout that others use does not see.
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.19, (0.55 + below) / height, 0.43, 3.8 / height), projection="polar")
        axes.set_theta_zero_location("N")
        axes.set_theta_direction(-1)
        angles = [2 * math.pi * k / len(self.axes) for k in range(len(self.axes))]
        axes.set_ylim(0, self.top)
        _rings(axes, angles, self.top)
        for k, (name, scores) in enumerate(self.series.items()):
            colour, dash, marker = line_style(k)
            closed = [*scores, scores[0]]
            axes.plot(
                [*angles, angles[0]], closed, color=colour, linestyle=dash, marker=marker, markersize=4, linewidth=1.8,
                label=name, clip_on=False,
            )  # fmt: skip
            if not any(map(math.isnan, scores)):
                axes.fill([*angles, angles[0]], closed, color=colour, alpha=0.05, linewidth=0)
        axes.set_xticks(angles, self.axes, fontsize=9, color=INK)
        for label, angle in zip(axes.get_xticklabels(), angles, strict=True):
            side = math.sin(angle)
            label.set_horizontalalignment("center" if abs(side) < 0.1 else "left" if side > 0 else "right")
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.4, 0.5))
        if lines:
            figure.text(0.03, 0.1 / height, "\n".join(lines), fontsize=8, color=CLEAN, linespacing=1.25)
        save(figure, path)


# Straight ones: a score between two axes has no meaning.
def _rings(axes: Any, angles: Sequence[float], top: float) -> None:
    values = [top * k / 5 for k in range(1, 6)]
    axes.grid(visible=False)
    axes.spines["polar"].set_visible(False)
    for value in values:
        axes.plot([*angles, angles[0]], [value] * (len(angles) + 1), color=GRID, linewidth=0.8, zorder=0)
    for angle in angles:
        axes.plot([angle, angle], [0, top], color=GRID, linewidth=0.8, zorder=0)
    axes.set_yticks(values, [f"{value:.3g}" for value in values], fontsize=7, color=CLEAN)
    axes.set_rlabel_position(0)
