"""The section `start` of a configuration."""

from __future__ import annotations

from typing import Literal

from onelip.experiments.config_section import Section


class Start(Section):
    """Begin with the weights of another run of the same architecture, whose layers may be of other methods.

    `run` is its folder, or the name of an experiment, whose latest run is meant; `weights` are those that it keeps, or
    those after its last epoch.
    """

    run: str
    weights: Literal["best", "last"] = "best"
