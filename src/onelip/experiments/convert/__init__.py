"""Settings and checkpoints of the code bases that this library follows, as ours."""

from onelip.experiments.convert import compared_layers, orthogonium_layers
from onelip.experiments.convert.layer_rules import Loaded, known_layers, load_layer_
from onelip.experiments.convert.settings import convert_settings

__all__ = ["Loaded", "compared_layers", "convert_settings", "known_layers", "load_layer_", "orthogonium_layers"]
