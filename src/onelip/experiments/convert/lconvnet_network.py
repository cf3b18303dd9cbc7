"""The networks of LConvNet."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.conversion import Conversion
from onelip.experiments.convert.lconvnet_types import kind_of
from onelip.experiments.convert.marked import Section

_CONVOLUTIONS = {"BCOP": "bcop", "NonexpansiveConv2d": "rk-l2ne", "OSSN": "ossn", "RKO": "rko", "SVCM": "svcm"}
_NETWORKS = {"DCGANDiscriminator": "dcgan-critic", "LargeConvNet": "lconvnet-large", "SmallConvNet": "lconvnet-small"}
_TYPES = (*_NETWORKS, "MLP", "Sequential", "kw", "qian")
_DEAD = ("ortho_mode", "mask_half", "projection")
"""Options of BCOP that may have one value only."""


def convert_network(trainer: Section, out: Conversion) -> None:
    """Convert `trainer.net`.

    Args:
        trainer: The section `trainer`.
        out: Gets the network, its layers and its activation.

    Raises:
        UserError: If a type is unknown.
    """
    net = trainer.child("net")
    kind = kind_of(net, _TYPES)
    if kind == "Sequential":
        net = _dense_network(net)
        kind = kind_of(net, ("MLP",))
    if kind in ("kw", "qian"):
        _baseline(net, kind, out)
        return
    parts = net.section("[submodules]") or net
    if kind == "MLP":
        units = net.need("units").plain()
        out.tree["model"] = {"name": "mlp", "widths": units[1:-1]}
        dropout = float(net.plain("dropout_rate", 0.0))
        if dropout:
            out.tree["model"]["dropout_hidden"] = dropout
        _scaling(net, ("scaling", "dist_scaling"), out)
        out.tree["layer"] = _linear(parts, out)
    else:
        out.tree["model"] = _convolutional(net, kind, out)
        _convolution(parts.child("conv_module"), out)
        out.tree["linear"] = _linear(parts, out)
    out.tree["activation"] = _activation(parts.child("activation"), out)
    out.leave_out(net)


def _dense_network(net: Section) -> Section:
    items = net.need("<list>")
    for item in items.value:
        part = Section(item, "trainer.net.<list>")
        if kind_of(part, ("MLP", "Rearrange")) == "MLP":
            return part
    raise items.refuse("trainer.net has no MLP in its <list>")


def _baseline(net: Section, kind: str, out: Conversion) -> None:
    net.get("dataset_name")
    if kind == "kw":
        size = net.need("model_name").one_of("trainer.net.model_name", ("large", "small"))
        out.tree |= {"model": {"name": f"kw-{size}"}, "layer": "plain", "linear": "plain", "activation": "relu"}
    else:
        index = net.get("model_index")
        if index is not None:
            out.no_counterpart("trainer.net.model_index", index, "4 names weights that were trained on attacked images")
        out.tree |= {
            "model": {"name": "l2nnn"},
            "layer": "rk-l2ne",
            "linear": "rk-l2ne",
            "activation": "two-sided-relu",
        }
    out.differs("the network is trained here, there it loads the weights of its authors")


def _convolutional(net: Section, kind: str, out: Conversion) -> dict[str, Any]:
    section: dict[str, Any] = {"name": _NETWORKS[kind]}
    factor = net.plain("size_factor", 1)
    if factor != 1:
        section |= {"width": 32 * factor, "dense": 512 * factor}
    _scaling(net, ("scaling",), out)
    for key in ("input_spatial_shape", "in_channels", "out_channels"):
        net.get(key)
    return section


def _scaling(net: Section, keys: tuple[str, ...], out: Conversion) -> None:
    for key in keys:
        value = net.get(key)
        if value is not None and float(value.number(key)) != 1:
            out.no_counterpart(net.full(key), value, "the network's constant is 1")


def _convolution(module: Section, out: Conversion) -> None:
    inner = (
        module.child("conv_module")
        if kind_of(module, ("LipschitzConv2d", *_CONVOLUTIONS)) == "LipschitzConv2d"
        else module
    )
    kind = kind_of(inner, _CONVOLUTIONS)
    out.tree["layer"] = _CONVOLUTIONS[kind]
    if kind == "BCOP":
        options = {"square": True, "width_first": True}
        out.tree["layer_options"] = options | ({"frozen": True} if inner.plain("frozen", False) is True else {})
        for key in _DEAD:
            inner.get(key)
    if kind == "SVCM":
        out.differs("between projections SVCM's weights are divided by a bound of their norm, there free")
    if kind == "OSSN":
        out.differs("OSSN divides by a proved bound of the norm, there by an estimate")
    out.leave_out(inner, f"{out.tree['layer']} goes on to its tolerance")


def _linear(parts: Section, out: Conversion) -> str:
    module = parts.child("linear_module")
    kind = kind_of(module, ("BjorckLinear", "Linear"))
    out.leave_out(module, "it goes on until the weight is orthonormal")
    return {"BjorckLinear": "bjorck", "Linear": "plain"}[kind]


def _activation(module: Section, out: Conversion) -> str:
    kind = kind_of(module, ("GroupSort", "ReLU", "relu"))
    if kind != "GroupSort":
        return "relu"
    size = module.need("group_size")
    if size.value != 2:
        out.no_counterpart("activation.group_size", size, "maxmin sorts pairs")
    for key in ("axis", "new_impl"):
        module.get(key)
    return "maxmin"
