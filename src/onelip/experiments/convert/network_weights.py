"""Weights of whole networks of "1-Lipschitz Layers Compared", as a run that can be certified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from onelip import models
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_file import check_config
from onelip.experiments.convert.compared_data import DATA_SETS, DataSet
from onelip.experiments.convert.conversion import Conversion
from onelip.experiments.convert.layer_rules import load_layer_
from onelip.experiments.errors import UserError, as_user_errors

SOC_OPTIONS = {"largest_angle": 2.5, "n_terms": 13}
"""Of our SOC, for the angles that published weights have."""

_HEADS = {"SOC": "SOC head", "BCOP": "BCOP head"}
"""Rules for 1x1 convolutions whose method has no dense form here."""


@dataclass(frozen=True)
class ConvertedNetwork:
    """A network with the weights of another library's.

    Attributes:
        config: Its configuration.
        state_dict: Its weights, and the mean that is subtracted from pixels.
        notes: What differs, one sentence each.
    """

    config: ExperimentConfig
    state_dict: dict[str, Tensor]
    notes: tuple[str, ...]


def convert_network(
    conversion: Conversion, tensors: Mapping[str, Tensor], *, project: bool = False
) -> ConvertedNetwork:
    """Load the weights of one of their networks.

    Args:
        conversion: What its settings became.
        tensors: Its state dict.
        project: May the nearest function stand in where a layer cannot be the same?

    Returns:
        The network.

    Raises:
        UserError: If the settings are not those of a network, or the weights are of another one.
    """
    config = _config(conversion)
    data = next(data for data in DATA_SETS.values() if data.name == config.data.name)
    mean, std = _pixels(data, conversion)
    with as_user_errors():
        network = models.build(
            config.model.name,
            input_shape=(3, data.size, data.size),
            n_classes=data.classes,
            layer=config.layer,
            linear=config.linear,
            activation=config.activation,
            mean=mean,
            std=std,
            layer_options=config.layer_options,
            **config.model.options,
        )
    notes = load_convnet_(network, conversion.classes, tensors, data.size, project=project)
    return ConvertedNetwork(config, network.state_dict(), notes)


def load_convnet_(
    network: nn.Module, classes: Mapping[str, str], tensors: Mapping[str, Tensor], size: int, *, project: bool = False
) -> tuple[str, ...]:
    """Load weights into a ConvNet, in place.

    Args:
        network: Our network, alone or behind a normalisation of pixels.
        classes: Their class of the convolutions ("conv"), of the first one ("first") and the last one ("head") if it is
            another, or of the dense layer at the end ("linear").
        tensors: Their state dict.
        size: Height and width of the images.
        project: May the nearest function stand in where a layer cannot be the same?

    Returns:
        What differs, one sentence each.

    Raises:
        UserError: If a weight is missing, is of another shape, or belongs to no layer.
    """
    inner = getattr(network, "network", network)
    groups = _by_layer(tensors)
    notes: dict[str, None] = {}
    for name, layer, prefix, kind, side in _places(inner, classes, size):
        if prefix not in groups:
            raise UserError(f"the checkpoint has no {prefix}, the weights of {name}; are these its settings?")
        loaded = load_layer_(layer, kind, groups.pop(prefix), image_size=(side, side), project=project, where=prefix)
        if loaded.note:
            notes[loaded.note] = None
    if groups:
        raise UserError(
            f"the checkpoint holds {next(iter(groups))}, which this network has not; are these its settings?"
        )
    return tuple(notes)


def _config(conversion: Conversion) -> ExperimentConfig:
    if conversion.drawn:
        raise UserError(
            "a value of the settings is drawn, so that they are those of many networks; give dumped_setting.yml, or "
            "set it by -o, such as -o optimizer.lr=0.01"
        )
    tree: dict[str, Any] = dict(conversion.tree)
    if "conv" not in conversion.classes:
        raise UserError("--checkpoint is for networks of Layers Compared, and these settings are of another code base")
    if tree["layer"] == "soc":
        tree["layer_options"] = SOC_OPTIONS
    return check_config(tree)


def _pixels(data: DataSet, conversion: Conversion) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    normalize = conversion.tree["data"]["normalize"]
    if normalize == "none":
        return None, None
    mean = tuple(conversion.subtracted * m for m in data.mean)
    return mean, data.std if normalize == "standardize" else None


def _by_layer(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        parts = key.removeprefix("module.").split(".")
        n = 1 if parts[0] == "FirstConv" else 2
        groups.setdefault(".".join(parts[:n]), {})[".".join(parts[n:])] = value
    return groups


def _places(inner: Any, classes: Mapping[str, str], size: int) -> list[tuple[str, nn.Module, str, str, int]]:
    conv = classes["conv"]
    found: list[tuple[str, nn.Module, str, str, int]] = [
        ("first", inner.first, "FirstConv", classes.get("first", conv), size)
    ]
    for name, block in inner.named_children():
        number = name.removeprefix("block")
        if name == number:
            continue
        convs = [module for key, module in block.named_children() if key.startswith("conv")]
        side = size // 2 ** (int(number) - 1)
        found += [(f"{name}.conv{j + 1}", m, f"Block{number}.{2 * j}", conv, side) for j, m in enumerate(convs)]
    if "linear" in classes:
        found.append(("head", inner.head, "ClassificationHead.1", classes["linear"], 1))
    else:
        head = classes.get("head", conv)
        found.append(("head", inner.head, "ClassificationHead.0", _HEADS.get(head, head), 1))
    return found
