"""Every table and figure of the five papers, by name."""

from onelip.experiments.tables.templates import (
    fastclip,
    layers_compared,
    layers_compared_costs,
    layers_compared_radar,
    lconvnet,
    lconvnet_w1,
    lnets,
    orthogonium,
)
from onelip.experiments.tables.templates.layers_compared_radar import AXES, TOP
from onelip.experiments.tables.templates.template import Inputs, Template

_MODULES = (
    lconvnet,
    lconvnet_w1,
    layers_compared,
    layers_compared_costs,
    layers_compared_radar,
    lnets,
    fastclip,
    orthogonium,
)

TEMPLATES: dict[str, Template] = {
    one.name: one for one in sorted((t for module in _MODULES for t in module.TEMPLATES), key=lambda one: one.name)
}
"""By name."""

__all__ = ["AXES", "TEMPLATES", "TOP", "Inputs", "Template"]
