"""Tables that are figures, too."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from onelip.experiments.errors import UserError
from onelip.experiments.tables.templates import AXES, TOP, Inputs
from onelip.experiments.tables.templates.layers_compared import METHODS
from onelip.experiments.tables.templates.layers_compared_radar import RULE, radar_scores

if TYPE_CHECKING:
    from onelip.pictures.radar import RadarPlot

FIGURES = ("png", "svg")
"""Formats of pictures."""


def radar_plot(inputs: Inputs) -> RadarPlot:
    """Score methods for a radar plot.

    Args:
        inputs: Runs and measurements.

    Returns:
        The plot.

    Raises:
        UserError: If no two methods can be compared.
    """
    from onelip.pictures.radar import RadarPlot

    found = radar_scores(inputs)
    methods = [method for method in METHODS if any(method in of_axis for of_axis in found.values())]
    if not methods:
        raise UserError(
            "no two methods have the same number on the same data set and size, so there is nothing to draw"
        )
    series = {METHODS[method]: [found[axis].get(method, math.nan) for axis in AXES] for method in methods}
    return RadarPlot(AXES, series, TOP, RULE)


def save_radar(inputs: Inputs, path: Path) -> None:
    """Draw the scores of methods as a radar plot.

    Args:
        inputs: Runs and measurements.
        path: Where, a .png or .svg file.

    Raises:
        UserError: If no two methods can be compared.
    """
    radar_plot(inputs).save(path)
