"""Margins of a classifier in units of pixels: how far each answer is from changing, at least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from onelip.metrics import correct, signed_margin
from onelip.pictures.canvas import legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import ATTACK, INK, PROVED

Norm = Literal["l2", "linf"]
Values = npt.NDArray[np.float64]

_FACTORS = {"l2": math.sqrt(2.0), "linf": 2.0}
N_BINS = 40
"""About so many bars span a histogram."""


@dataclass(frozen=True, eq=False)
class MarginHistogram:
    """How many margins lie where; zero is the border of two bins.

    Attributes:
        edges: `(B + 1,)` borders of the bins, rising.
        right: `(B,)` how many margins of right answers.
        wrong: `(B,)` how many of wrong ones.
    """

    edges: Values
    right: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PixelMargins:
    """The margin of each image, `z_y - max over j != y of z_j`, divided by the constant of differences of logits.

    Attributes:
        values: `(N,)`; if `norm` is not None no change of the image shorter than the absolute value changes whether
            the answer is right, negative for wrong ones. NaN where a logit is NaN.
        right: `(N,)` is the answer right?
        norm: The norm in which changes are measured, in pixels; None if the margins are in units of the logits.
    """

    values: Values
    right: npt.NDArray[np.bool_]
    norm: Norm | None

    @property
    def unit(self) -> str:
        """What the values are measured in, for an axis."""
        return "margin in units of the logits" if self.norm is None else f"margin in pixels, {self.norm}"

    def histogram(self, bins: int = N_BINS) -> MarginHistogram:
        """Count the margins that are numbers.

        Args:
            bins: About how many bins, at least 1.

        Returns:
            The counts, in bins of one width.

        Raises:
            ValueError: If `bins` is below 1.
        """
        if bins < 1:
            raise ValueError(f"bins={bins} in histogram must be at least 1")
        known = np.isfinite(self.values)
        values = self.values[known]
        low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
        width = (high - low) / bins or 1.0
        edges = width * np.arange(math.floor(low / width), math.ceil(high / width) + 1)
        if edges[-1] < high or len(edges) < 2:
            edges = np.append(edges, edges[-1] + width)
        right, wrong = (np.histogram(values[chosen], edges)[0] for chosen in (self.right[known], ~self.right[known]))
        return MarginHistogram(edges, right, wrong)

    def plot(self, path: str | Path, *, radii: Sequence[float] = (), certified: npt.NDArray[Any] | None = None) -> None:
        """Draw the histogram, right and wrong answers apart; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
            radii: Radii of interest, as vertical lines where there are margins.
            certified: Certified radii of the same images, drawn as an outline; those that are not positive are left
                out.
        """
        counts = self.histogram()
        figure = new_figure(6.4, 3.8)
        axes = plain_axes(figure)
        for name, shares, colour, hatch in (
            ("right", counts.right, PROVED, None),
            ("wrong", counts.wrong, ATTACK, "////"),
        ):
            label = f"{name}: {shares.sum():,} images"
            axes.stairs(
                shares, counts.edges, fill=True, facecolor=f"{colour}3a", edgecolor=colour, hatch=hatch, label=label
            )
        if certified is not None:
            outline = certified_outline(certified, counts.edges)
            axes.stairs(outline, counts.edges, color=INK, linewidth=1.3, linestyle=(0, (4, 2)), label="certified radii")
        room = 0.04 * (counts.edges[-1] - counts.edges[0])
        low, high = counts.edges[0] - room, counts.edges[-1] + room
        axes.set_xlim(low, high)
        for k, radius in enumerate(radius for radius in radii if low <= radius <= high):
            # Names that begin with an underscore are not in the legend.
            label = "configured radii" if k == 0 else "_more"
            axes.axvline(radius, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), label=label)
        axes.set(xlabel=self.unit, ylabel="images")
        axes.set_ylim(bottom=0)
        legend_above(axes)
        save(figure, path)


def pixel_margins(logits: Tensor, labels: Tensor, *, lipschitz: float | None = None, norm: Norm = "l2") -> PixelMargins:
    """Divide margins by the constant that the differences of two logits have.

    That constant is `sqrt(2) L` in l2 and `2 L` in l_inf if all logits together have constant L.

    Args:
        logits: `(N, K)` with K >= 2.
        labels: `(N,)` int64.
        lipschitz: L > 0 in the norm; None leaves the margins in units of the logits.
        norm: "l2" or "linf".

    Returns:
        The margins.

    Raises:
        ValueError: If L is not positive and finite, the norm is unknown, or the shapes disagree.
    """
    if lipschitz is not None and not 0 < lipschitz < math.inf:
        raise ValueError(f"lipschitz={lipschitz} in pixel_margins must be positive and finite, or None")
    if norm not in _FACTORS:
        raise ValueError(f"norm={norm!r} in pixel_margins must be 'l2' or 'linf'")
    margins = signed_margin(logits.detach().double(), labels).cpu().numpy()
    right = correct(logits, labels).cpu().numpy()
    if lipschitz is None:
        return PixelMargins(margins, right, None)
    return PixelMargins(margins / (_FACTORS[norm] * lipschitz), right, norm)


def certified_outline(certified: npt.NDArray[Any], edges: Values) -> npt.NDArray[np.int64]:
    """Count certified radii in the bins of a histogram of margins.

    Args:
        certified: `(N,)` certified radii.
        edges: Borders of the bins.

    Returns:
        How many positive radii each bin has; the last bin has those beyond it too.
    """
    radii = np.asarray(certified, dtype=np.float64)
    inside = np.minimum(radii[radii > 0], edges[-1])
    return np.histogram(inside, edges)[0]
