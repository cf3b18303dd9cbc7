"""A scalar function of the plane: where it is positive, its level sets, and how far points are from the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.bounds import lipschitz_bound
from onelip.layers import to_plain
from onelip.linalg import Bound
from onelip.pictures.canvas import new_figure, save
from onelip.pictures.colours import ATTACK, INK, PROVED, diverging_map
from onelip.pictures.gradient_norms import scalar_values

Values = npt.NDArray[np.float64]

N_CIRCLES = 16
"""Of more points so many get a circle of their radius, evenly spread: more of them hide each other."""

_N_SHADES = 18
_WANTED = "#0b9e76"
_DASHES, _DOTS = (0, (5, 2)), (0, (1, 1))


@dataclass(frozen=True, eq=False)
class DecisionMap:
    """Values of a function on a grid, and at some points, with the radii that its Lipschitz constant gives them.

    Attributes:
        x: `(W,)` first coordinates of the grid, rising.
        y: `(H,)` second coordinates, rising.
        values: `(H, W)` values of f.
        bound: Lipschitz constant of f in l2.
        points: `(N, 2)`.
        inside: `(N,)` bool: should f be positive there?
        radii: `(N,)` |f| / constant, in units of the plane: within it f keeps its sign. Evaluated in float64, rounding
            not counted; `onelip.certify` proves radii. 0 where the sign is wrong.
        levels: Values whose level sets are of interest beside zero, such as both sides of a margin.
        outline: `(H, W)` a function whose zero set is the boundary that was wanted, or None.
    """

    x: Values
    y: Values
    values: Values
    bound: Bound
    points: Values
    inside: npt.NDArray[np.bool_]
    radii: Values
    levels: tuple[float, ...] = ()
    outline: Values | None = None

    def draw(self, axes: Any) -> None:
        """Draw the map, with a bar of its colours.

        Args:
            axes: Matplotlib axes; they become square to the plane.
        """
        grid = self.x, self.y
        _fill(axes, *grid, self.values)
        _draw_level(axes, *grid, self.values, sorted(self.levels), colors=INK, linewidths=1.0, linestyles=[_DASHES])
        _draw_level(axes, *grid, self.values, [0.0], colors=INK, linewidths=2.6)
        if self.outline is not None:
            _draw_outline(axes, *grid, self.outline)
        self._draw_points(axes)
        axes.set_xlabel(self._caption(), fontsize=8)

    def plot(self, path: str | Path) -> None:
        """Draw the map into a file; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        figure = new_figure(6.0, 4.8)
        self.draw(figure.add_subplot())
        save(figure, path)

    def difference(self, wanted: Tensor) -> DifferenceMap:
        """Subtract the function that f should be.

        Args:
            wanted: `(H * W,)` its values on the grid, row by row from below, as `grid_points` lists them.

        Returns:
            f minus that.

        Raises:
            ValueError: If there is another number of values.
        """
        if wanted.numel() != self.values.size:
            raise ValueError(
                f"wanted has {wanted.numel()} values in difference; the grid has {self.values.size} points"
            )
        exact = wanted.detach().double().cpu().reshape(self.values.shape).numpy()
        return DifferenceMap(self.x, self.y, self.values - exact, exact)

    def _caption(self) -> str:
        parts = ["bold: f = 0"]
        levels = [f"{level:g}" for level in sorted(self.levels)]
        if levels:
            parts.append("dashed: f = " + (", ".join(levels) if len(levels) <= 4 else f"{levels[0]} to {levels[-1]}"))
        if self.outline is not None:
            parts.append("green: what was wanted")
        if len(self.points):
            parts.append("circles: |f| / constant")
        # Four do not fit into a line below a small map.
        return "; ".join(parts) if len(parts) < 4 else "; ".join(parts[:2]) + "\n" + "; ".join(parts[2:])

    def _draw_points(self, axes: Any) -> None:
        from matplotlib.patches import Circle

        for chosen, colour, marker in ((self.inside, PROVED, "o"), (~self.inside, ATTACK, "^")):
            axes.scatter(
                *self.points[chosen].T, s=14, marker=marker, color=colour, edgecolors="white", linewidths=0.4, zorder=3
            )
        n = min(N_CIRCLES, len(self.points))
        for k in range(n):
            at = k * len(self.points) // n
            axes.add_patch(Circle(self.points[at], self.radii[at], fill=False, color=INK, linewidth=0.7, zorder=4))


@dataclass(frozen=True, eq=False)
class DifferenceMap:
    """By how much a function on a grid exceeds the one that it should be.

    Attributes:
        x: `(W,)` first coordinates of the grid, rising.
        y: `(H,)` second coordinates, rising.
        values: `(H, W)` the differences.
        wanted: `(H, W)` what was subtracted; its zero set is drawn.
    """

    x: Values
    y: Values
    values: Values
    wanted: Values

    def draw(self, axes: Any) -> None:
        """Draw the map, with a bar of its colours.

        Args:
            axes: Matplotlib axes; they become square to the plane.
        """
        _fill(axes, self.x, self.y, self.values)
        _draw_outline(axes, self.x, self.y, self.wanted)
        axes.set_xlabel(f"from {self.values.min():.3g} to {self.values.max():.3g}; green: what was wanted", fontsize=8)


def _fill(axes: Any, x: Values, y: Values, values: Values) -> None:
    from matplotlib.ticker import MaxNLocator

    limit = float(np.abs(values).max()) or 1.0
    # Round numbers, with zero between two colours.
    shades = MaxNLocator(_N_SHADES, symmetric=True).tick_values(-limit, limit)
    filled = axes.contourf(x, y, values, shades, cmap=diverging_map())
    ticks = shades[len(shades) // 2 % 2 :: 2]
    axes.figure.colorbar(filled, ax=axes, shrink=0.8, aspect=28, ticks=ticks, format="%g")
    axes.set_aspect("equal")
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))


def _draw_level(axes: Any, x: Values, y: Values, values: Values, levels: Sequence[float], **style: Any) -> None:
    # Matplotlib warns of level sets that are empty.
    present = [level for level in levels if values.min() < level < values.max()]
    if present:
        axes.contour(x, y, values, present, **style)


def _draw_outline(axes: Any, x: Values, y: Values, values: Values) -> None:
    _draw_level(axes, x, y, values, [0.0], colors=_WANTED, linewidths=1.8, linestyles=[_DOTS])


def decision_map(
    model: nn.Module,
    low: tuple[float, float],
    high: tuple[float, float],
    *,
    points: Tensor | None = None,
    inside: Tensor | None = None,
    levels: Sequence[float] = (),
    outline: Tensor | None = None,
    resolution: int = 161,
) -> DecisionMap:
    """Evaluate a scalar network of the plane on a grid, in float64 in the plain form whose constant is proved.

    Args:
        model: Maps `(N, 2)` to `(N,)` or `(N, 1)`; left as it was.
        low: Lower left corner of the grid.
        high: Upper right corner.
        points: `(N, 2)` points to show.
        inside: `(N,)` bool, should f be positive there? Needed for, and only for, points.
        levels: Values whose level sets are of interest beside zero.
        outline: `(resolution**2,)` values of another function at `grid_points`, whose zero set is drawn as well.
        resolution: Points of the grid along each axis, at least 2.

    Returns:
        The map.

    Raises:
        ValueError: If an argument is out of range or shapes disagree.
    """
    if (points is None) != (inside is None) or (
        points is not None and inside is not None and len(points) != len(inside)
    ):
        sizes = [None if t is None else tuple(t.shape) for t in (points, inside)]
        raise ValueError(
            f"points={sizes[0]} and inside={sizes[1]} in decision_map must be (N, 2) and (N,), or both None"
        )
    grid = grid_points(low, high, resolution)
    if outline is not None and outline.numel() != len(grid):
        raise ValueError(f"outline has {outline.numel()} values in decision_map; the grid has {len(grid)} points")
    plain = to_plain(model).double()
    bound = lipschitz_bound(plain, (2,)).best
    shown = torch.zeros(0, 2) if points is None else points.detach()
    wanted = torch.zeros(0, dtype=torch.bool) if inside is None else inside.detach().bool().cpu()
    with torch.no_grad():
        values = scalar_values(plain, grid, "decision_map")
        signed = torch.where(wanted, 1.0, -1.0) * scalar_values(plain, shown.double().cpu(), "decision_map")
    shape = (resolution, resolution)
    return DecisionMap(
        x=grid[:resolution, 0].numpy(),
        y=grid[::resolution, 1].numpy(),
        values=values.reshape(shape).numpy(),
        bound=bound,
        points=shown.double().cpu().numpy(),
        inside=wanted.numpy(),
        radii=(signed.clamp_min(0) / bound.value).numpy(),
        levels=tuple(levels),
        outline=None if outline is None else outline.detach().double().cpu().reshape(shape).numpy(),
    )


def grid_points(low: tuple[float, float], high: tuple[float, float], resolution: int) -> Tensor:
    """List the points of a grid, row by row from below.

    Args:
        low: Lower left corner.
        high: Upper right corner.
        resolution: Points along each axis.

    Returns:
        `(resolution**2, 2)` float64.

    Raises:
        ValueError: If the corners or the resolution are out of range.
    """
    if not (low[0] < high[0] and low[1] < high[1]) or resolution < 2:
        raise ValueError(
            f"low={low}, high={high} and resolution={resolution} in grid_points must be corners from lower left to "
            "upper right, and at least 2"
        )
    x, y = (torch.linspace(a, b, resolution, dtype=torch.float64) for a, b in zip(low, high, strict=True))
    return torch.cartesian_prod(y, x).flip(1)
