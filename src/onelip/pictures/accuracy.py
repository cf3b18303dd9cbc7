"""What is known of a classifier's accuracy at every radius: proved from below, attacked from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import ATTACKS, CLEAN, INK, PROVED

ROOM = 1.06
"""Axes reach this much beyond the last value."""

CELLS = 1000
"""A curve has at most so many steps; finer ones could not be seen."""

Point = tuple[float, float]


@dataclass(frozen=True)
class UnderAttack:
    """What one attack left of the accuracy, an upper bound of the robust accuracy.

    Attributes:
        name: Of the attack.
        radii: In pixels, rising.
        accuracy: Share of the attacked images still classified rightly at each radius.
        clean: That share without attack.
        n_images: How many images were attacked.
    """

    name: str
    radii: tuple[float, ...]
    accuracy: tuple[float, ...]
    clean: float
    n_images: int

    @property
    def points(self) -> list[Point]:
        """Radius and accuracy, from radius 0 on."""
        start = [] if self.radii and self.radii[0] == 0 else [(0.0, self.clean)]
        return [*start, *zip(self.radii, self.accuracy, strict=True)]


@dataclass(frozen=True, eq=False)
class RobustAccuracy:
    """Accuracy against the radius in one norm: certified, by relaxation, under every attack, and clean.

    Attributes:
        norm: "l2" or "linf".
        clean: Accuracy without attack.
        certified: `(N,)` certified radius of each image in this norm, 0 where the answer is wrong; None without.
        proved: Is the constant that the radii come from proved?
        attacks: What attacks in this norm left.
        relaxed: Radius and accuracy certified by linear relaxation, rising.
    """

    norm: str
    clean: float
    certified: npt.NDArray[np.float64] | None = None
    proved: bool = True
    attacks: tuple[UnderAttack, ...] = ()
    relaxed: tuple[Point, ...] = ()

    @property
    def limit(self) -> float:
        """The largest radius to draw: beyond 99 % of the certified ones and beyond every attacked one."""
        certified = np.zeros(0) if self.certified is None else self.certified
        tried = [*(r for attack in self.attacks for r in attack.radii), *(r for r, _ in self.relaxed)]
        return radius_limit(certified, tried)

    def plot(self, path: str | Path) -> None:
        """Draw accuracy against radius; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        figure = new_figure(6.4, 3.8)
        axes, limit = plain_axes(figure), self.limit
        axes.axhline(100 * self.clean, color=CLEAN, linestyle=(0, (5, 4)), linewidth=1.2, label="clean")
        n_images = 0 if self.certified is None else len(self.certified)
        for k, attack in enumerate(self.attacks):
            colour, dash, marker = ATTACKS[k % len(ATTACKS)]
            part = f" ({attack.n_images:,} images)" if attack.n_images < n_images else ""
            x, y = zip(*attack.points, strict=True)
            axes.step(
                x, _percent(y), where="post", color=colour, marker=marker, markersize=4.5, linewidth=1.6,
                linestyle=dash, label=f"under {attack.name}{part}",
            )  # fmt: skip
        if self.certified is not None:
            x, y = zip(*certified_curve(self.certified, limit), strict=True)
            word = "certified, proved" if self.proved else "ESTIMATE, not proved"
            axes.step(x, _percent(y), where="post", color=PROVED, linewidth=2, label=word)
            axes.fill_between(x, _percent(y), step="post", color=PROVED, alpha=0.12, linewidth=0)
        if self.relaxed:
            x, y = zip(*self.relaxed, strict=True)
            axes.plot(x, _percent(y), "*", color=INK, markersize=9, label="certified by relaxation")
        axes.set(xlim=(0, limit), ylim=(0, 102), xlabel=f"{self.norm} radius", ylabel="accuracy (%)")
        legend_above(axes, 3)
        save(figure, path)


def _percent(shares: Sequence[float]) -> list[float]:
    return [100 * share for share in shares]


def certified_curve(radii: Sequence[float] | npt.NDArray[Any], limit: float) -> list[Point]:
    """Count the samples certified beyond each radius.

    Args:
        radii: Certified radius of each sample, 0 where the prediction is wrong.
        limit: Largest radius of interest.

    Returns:
        (radius, share of samples whose certified radius is greater): the share holds from its radius to the next,
        from 0 to `limit`. Steps closer than 1/1000 of `limit` become one, at the smallest of their radii, so the curve
        is never above the true one.
    """
    values = np.sort(np.asarray(radii, dtype=np.float64))
    corners = np.unique(values[(values > 0) & (values < limit)])
    shares = 1 - np.searchsorted(values, [0.0, *corners, limit], side="right") / len(values)
    points, cell_start = [(0.0, float(shares[0]))], -1
    for radius, share in zip(corners.tolist(), shares[1:-1].tolist(), strict=True):
        cell = int(radius / limit * CELLS)
        if cell == cell_start:
            points[-1] = (points[-1][0], share)
        else:
            points.append((radius, share))
            cell_start = cell
    return [*points, (limit, float(shares[-1]))]


def radius_limit(radii: Sequence[float] | npt.NDArray[Any], attacked: Sequence[float]) -> float:
    """Choose where the axis of radii ends.

    Args:
        radii: Certified radius of each sample.
        attacked: Radii of attacks.

    Returns:
        A radius beyond 99 % of the positive ones and beyond every attacked one; 1 if there is none.
    """
    values = np.asarray(radii, dtype=np.float64)
    positive = values[values > 0]
    ends = [float(np.quantile(positive, 0.99))] if len(positive) else []
    return ROOM * max([*ends, *attacked], default=1.0 / ROOM)
