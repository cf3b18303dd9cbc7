"""What runs reach against what they cost, and which of them no other one beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import INK, line_style

Point = tuple[float, float]

_WIDE = 20.0
"""Costs that differ by more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class ParetoPlot:
    """Accuracy, or another gain, against time or another cost.

    Attributes:
        groups: (cost, gain) of runs by the name of their group; finite numbers.
        x_label: What the cost is; less is better.
        y_label: What the gain is; more is better.
        percent: Is the gain a share, to be written in per cent?

    Raises:
        ValueError: There is no point, or a number is not finite.
    """

    groups: Mapping[str, Sequence[Point]]
    x_label: str = "training time (s)"
    y_label: str = "accuracy"
    percent: bool = True

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("groups in ParetoPlot has no point")
        for name, points in self.groups.items():
            if not all(math.isfinite(v) for point in points for v in point):
                raise ValueError(f"groups[{name!r}] in ParetoPlot has a number that is not finite; leave the run out")

    @property
    def points(self) -> list[Point]:
        """All points."""
        return [point for points in self.groups.values() for point in points]

    def save(self, path: str | Path) -> None:
        """Draw it; needs matplotlib.

        Args:
            path: A .png, .svg or .pdf file; a file there is replaced.
        """
        rows = -(-(len(self.groups) + 1) // 4)
        figure = new_figure(6.4, 3.6 + 0.18 * rows)
        axes = plain_axes(figure)
        scale = 100 if self.percent else 1
        for k, (name, points) in enumerate(self.groups.items()):
            colour, _, marker = line_style(k)
            x, y = zip(*points, strict=True) if points else ((), ())
            axes.plot(x, [scale * v for v in y], marker, color=colour, markersize=5, alpha=0.85, label=name)
        front = pareto_front(self.points)
        x, y = zip(*front, strict=True)
        axes.step(
            x, [scale * v for v in y], where="post", color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1,
            label="best for its cost",
        )  # fmt: skip
        costs = [cost for cost, _ in self.points]
        if min(costs) > 0 and max(costs) / min(costs) > _WIDE:
            _scale_logarithmically(axes)
        axes.set(xlabel=self.x_label, ylabel=f"{self.y_label} (%)" if self.percent else self.y_label)
        legend_above(axes)
        save(figure, path)


def _scale_logarithmically(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Find what no other point beats.

    Args:
        points: (cost, gain).

    Returns:
        Those for which no other one has at most the cost and at least the gain, one of them strictly; in ascending
        cost, each once.
    """
    front: list[Point] = []
    for cost, gain in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or gain > front[-1][1]:
            front.append((cost, gain))
    return front
