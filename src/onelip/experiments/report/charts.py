"""Charts as data: paths and ticks that the template turns into SVG and text.

The drawing area is 1000 by 1000 units and is stretched to whatever room the page has, strokes excepted; the text
around it is HTML placed by percentages. So a chart keeps its letters and line widths on a phone and on paper.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onelip.experiments.report.numbers import NARROW_SPACE, plain_text

SIZE = 1000
"""Width and height of the drawing area."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: What it shows, with the unit.
        low: Value at its start.
        high: Value at its end, above `low`.
        percent: Whether values are shares, to be written in per cent.
        whole: Whether only whole numbers have a meaning.
        log: Whether equal ratios are equally long; then `low` is positive.
    """

    label: str
    low: float
    high: float
    percent: bool = False
    whole: bool = False
    log: bool = False

    def position(self, value: float) -> float:
        """Place a value.

        Args:
            value: Inside the axis or not.

        Returns:
            0 at the start, 1 at the end.
        """
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else -1.0
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Choose round values.

        Returns:
            Position in per cent, and text, of each.
        """
        values = round_ratios(self.low, self.high) if self.log else round_values(self.low, self.high)
        if self.whole:
            values = [v for v in values if abs(v - round(v)) < 1e-9]
        return [(round(100 * self.position(v), 3), self.text(v)) for v in values]

    def text(self, value: float) -> str:
        """Write a value of this axis.

        Args:
            value: Any value.

        Returns:
            The text.
        """
        return f"{100 * value:.4g}{NARROW_SPACE}%" if self.percent else plain_text(value)


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: For the legend.
        look: CSS class: its colour and dash.
        points: (x, y) in ascending x; a y that is not finite interrupts the line.
        steps: Hold each y until the next x, instead of joining the points.
        dots: Draw the points themselves too.
        area: Fill down to the bottom.
    """

    name: str
    look: str
    points: Sequence[Point]
    steps: bool = False
    dots: bool = False
    area: bool = False


@dataclass(frozen=True)
class Drawing:
    """What the template draws of a series.

    Attributes:
        name: For the legend.
        look: CSS class.
        line: SVG path.
        area: SVG path of the filled part, or empty.
        dots: SVG path and text of each point.
    """

    name: str
    look: str
    line: str
    area: str
    dots: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chart:
    """A chart, ready for the template.

    Attributes:
        title: Its heading.
        description: What a reader sees in it, for those who cannot.
        x: The horizontal axis.
        y: The vertical axis.
        drawings: Its lines.
        readout: JSON for the script that reads values off under the pointer.
        band: SVG path of a region between two lines, or empty.
        rules: Places of vertical lines, in per cent, and the text of each.
        rule_name: What they are, for the legend.
    """

    title: str
    description: str
    x: Axis
    y: Axis
    drawings: tuple[Drawing, ...]
    readout: str
    band: str = ""
    rules: tuple[tuple[float, str], ...] = ()
    rule_name: str = ""


def make_chart(
    title: str,
    description: str,
    axes: tuple[Axis, Axis],
    series: Sequence[Series],
    *,
    band: tuple[Series, Series] | None = None,
    rules: tuple[str, Sequence[float]] = ("", ()),
) -> Chart:
    """Lay out a chart.

    Args:
        title: Its heading.
        description: What a reader sees in it.
        axes: Horizontal and vertical.
        series: Its lines.
        band: Two lines; the region between them is filled.
        rules: What vertical lines are, and the values at which they stand; those off the axis are left out.

    Returns:
        The chart.
    """
    x, y = axes
    filled = _band_path(*axes, *band) if band else ""
    drawings = tuple(_draw(x, y, s) for s in series)
    places = tuple((round(100 * x.position(v), 3), x.text(v)) for v in rules[1] if x.low <= v <= x.high)
    return Chart(title, description, x, y, drawings, _readout(x, y, series), filled, places, rules[0])


def round_values(low: float, high: float, wanted: int = 5) -> list[float]:
    """Choose round numbers for the ticks of an axis.

    Args:
        low: Start of the axis.
        high: Its end, above `low`.
        wanted: About how many.

    Returns:
        Multiples of 1, 2 or 5 times a power of ten inside the axis, in ascending order.
    """
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * f for f in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / rough)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def round_ratios(low: float, high: float, most: int = 7) -> list[float]:
    """Choose round numbers for the ticks of a logarithmic axis.

    Args:
        low: Start of the axis, positive.
        high: Its end, above `low`.
        most: How many at most.

    Returns:
        Powers of ten inside the axis, or with 2 and 5 times them if there is room; in ascending order.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors, step in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 5), ((1,), 20)):
        values = [f * 10.0**k for k in range(first, last + 1) if k % step == 0 for f in factors]
        inside = [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(inside) <= most:
            return inside
    return []


def step_corners(points: Sequence[Point]) -> list[Point]:
    """Turn the points of a step curve into the corners of its outline.

    Args:
        points: (x, y) in ascending x; y holds from its x on.

    Returns:
        The corners in order.
    """
    corners: list[Point] = []
    for x, y in points:
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return corners


def _outline(series: Series) -> list[Point]:
    return step_corners(series.points) if series.steps else list(series.points)


def _place(x: Axis, y: Axis, points: Iterable[Point]) -> list[Point]:
    return [(SIZE * x.position(px), SIZE * (1 - y.position(py))) for px, py in points]


def _path(points: Iterable[Point]) -> str:
    pieces, pen_down = [], False
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            pieces.append(f"{'L' if pen_down else 'M'}{x:.4g} {y:.4g}")
            pen_down = True
        else:
            pen_down = False
    return "".join(pieces)


def _draw(x: Axis, y: Axis, series: Series) -> Drawing:
    placed = _place(x, y, _outline(series))
    area = ""
    if series.area and placed:
        area = _path([(placed[0][0], SIZE), *placed, (placed[-1][0], SIZE)]) + "Z"
    points = [p for p in series.points if all(map(math.isfinite, p))]
    marked = points if series.dots or len(points) == 1 else []
    dots = tuple(
        (f"{_path([place])}h0", f"{series.name}: {y.text(value)} at {x.label} {x.text(at)}")
        for (at, value), place in zip(marked, _place(x, y, marked), strict=True)
    )
    return Drawing(series.name, series.look, _path(placed), area, dots)


def _band_path(x: Axis, y: Axis, upper: Series, lower: Series) -> str:
    corners = [*_outline(upper), *reversed(_outline(lower))]
    return _path(_place(x, y, corners)) + "Z" if lower.points else ""


def _readout(x: Axis, y: Axis, series: Sequence[Series]) -> str:
    def axis(a: Axis) -> dict[str, object]:
        return {"label": a.label, "low": a.low, "high": a.high, "percent": a.percent, "whole": a.whole}

    lines = [
        {
            "name": s.name,
            "certified": s.look in ("certified", "held", "relaxed"),
            "steps": s.steps,
            "dots": s.dots,
            "points": [[float(f"{px:.5g}"), float(f"{py:.5g}")] for px, py in s.points if math.isfinite(py)],
        }
        for s in series
    ]
    return json.dumps({"x": axis(x), "y": axis(y), "lines": lines}, separators=(",", ":"))
