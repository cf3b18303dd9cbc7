"""Drawings of the training of generative adversarial networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onelip.pictures.canvas import GRID, Image, legend_above, new_figure, plain_axes, save
from onelip.pictures.colours import ATTACK, CLEAN, INK, PROVED

Rows = Sequence[Mapping[str, float]]
"""The rows of `metrics.csv`, with what was measured in each part of a training."""

_STYLES = ((PROVED, "solid", "o"), (ATTACK, (0, (6, 2)), "s"), ("#0b766d", (0, (1, 1.2)), "D"))

LOSSES = (
    ("difference", "critic's difference", (PROVED, "solid")),
    ("critic_loss", "critic's loss", (INK, (0, (6, 2)))),
    ("generator_loss", "generator's loss", (ATTACK, (0, (1, 1.2)))),
    ("penalty", "penalty", (CLEAN, (0, (3, 1.5)))),
)
"""Column, name in the legend, colour and dash."""


def save_losses(rows: Rows, path: str | Path) -> None:
    """Draw losses, and what they are made of, over the generator's steps.

    Args:
        rows: Each with "generator_steps" and some of the columns of `LOSSES`.
        path: A .png, .svg or .pdf file; a file there is replaced.
    """
    figure = new_figure(6.4, 3.6)
    axes = plain_axes(figure)
    for column, name, (colour, dash) in LOSSES:
        points = [(row["generator_steps"], row[column]) for row in rows if column in row]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, linestyle=dash, linewidth=1.8, label=name)
    axes.axhline(0, color=CLEAN, linewidth=0.8)
    axes.set_xlabel("steps of the generator")
    axes.set_ylabel("mean over the part")
    legend_above(axes)
    save(figure, path)


def save_kinds(
    runs: Mapping[str, Rows], grids: Mapping[str, Image], path: str | Path, *, floor: float | None = None
) -> None:
    """Draw the Frechet distance of trainings over the generator's steps, and what each gives at the end.

    Args:
        runs: Rows with "generator_steps" and "frechet_sq" by the name of the training; at most three.
        grids: Pictures by their titles, drawn side by side below; may be empty.
        path: A .png, .svg or .pdf file; a file there is replaced.
        floor: The distance of training images, drawn as a line; None for none.

    Raises:
        ValueError: There are no trainings, or more than three.
    """
    if not 1 <= len(runs) <= len(_STYLES):
        raise ValueError(f"{len(runs)} trainings in save_kinds; it draws 1 to {len(_STYLES)}")
    # Pictures share the width; a title is above each.
    below_inches = max((8.0 / len(grids) * g.shape[0] / g.shape[1] + 0.4 for g in grids.values()), default=0.0)
    figure = new_figure(8.0, 3.6 + below_inches)
    top, *below = figure.subfigures(2, 1, height_ratios=(3.6, below_inches)) if grids else [figure]
    _draw_frechet(plain_axes(top), runs, floor)
    for lower in below:
        for axes, (title, grid) in zip(lower.subplots(1, len(grids), squeeze=False)[0], grids.items(), strict=True):
            axes.imshow(grid, interpolation="none")
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    save(figure, path)


def _draw_frechet(axes: Any, runs: Mapping[str, Rows], floor: float | None) -> None:
    for (name, rows), (colour, dash, marker) in zip(runs.items(), _STYLES, strict=False):
        points = [(row["generator_steps"], row["frechet_sq"]) for row in rows]
        axes.plot(
            *zip(*points, strict=True), color=colour, linestyle=dash, linewidth=1.8, label=name,
            marker=marker, markersize=4,
        )  # fmt: skip
    if floor is not None:
        axes.axhline(floor, color=CLEAN, linestyle=(0, (2, 3)), linewidth=1.2, label="training images")
    axes.set_yscale("log")
    axes.grid(which="minor", color=GRID, linewidth=0.4)
    axes.set_xlabel("steps of the generator")
    axes.set_ylabel("squared Frechet distance to test images")
    legend_above(axes)
