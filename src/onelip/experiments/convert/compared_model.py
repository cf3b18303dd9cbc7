"""The networks of "1-Lipschitz Layers Compared"."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.conversion import Conversion, Drawn
from onelip.experiments.convert.drawn_values import choice, has_random
from onelip.experiments.convert.marked import Marked, Section

LAYERS = {
    "AOLConv2d": "aol",
    "AOLConv2dDirac": "aol",
    "AOLConv2dOrth": "aol",
    "BCOP": "bcop",
    "CPLConv2d": "cpl",
    "CPLConv2d10k": "cpl",
    "CayleyConv": "cayley",
    "Conv2d": "plain",
    "ECO": "eco",
    "LOT": "lot",
    "LOT2t": "lot",
    "SLLConv2d": "sll",
    "SOC": "soc",
    "SandwichConv": "sandwich",
    "StandardConv2d": "plain",
}
"""Our convolutions, by their class."""

LINEAR = {
    "BjorckLinear": "bjorck",
    "BnBLinear": "bjorck",
    "BnBLinearBCOP": "bjorck",
    "CayleyLinear": "cayley",
    "Linear": "plain",
    "SandwichFc": "sandwich",
}
"""Our dense layers, by their class."""

ACTIVATIONS = {"Abs": "abs", "AbsoluteValue": "abs", "MaxMin": "maxmin-adjacent", "ReLU": "relu"}
"""Our activations, by their class."""

ZERO_PADDED = ("cpl", "lot", "sll", "soc")
"""Methods that they pad with zeros."""

_NO_DENSE = {"bcop": "bjorck", "eco": "bjorck", "soc": "polar-express"}
"""Dense layers for heads of methods that have no dense form here."""

_OPTIONS = {"bcop": {"square": True, "width_first": True}}
"""Options that make our layers have their parameters."""

_DIFFERENT = {
    "LOT2t": "LOT takes as many steps in training as in evaluation, there 2 and 10",
    "CPLConv2d10k": "CPL divides by a proved bound, there by an estimate of up to 10,000 steps",
    "SOC": "SOC divides by a proved bound of the norm of its skew convolution, there by an estimate; 6 terms of the "
    "exponential and a bound of what they miss, there 5 in training and 12 in evaluation",
}

_SIZES = {f"ConvNet{size}": f"convnet-{size.lower()}" for size in ("XS", "S", "M", "L")}
_SIZES |= {f"T{name}": f"tiny-{ours}" for name, ours in _SIZES.items()}
MODELS = _SIZES | {f"{name}_1x1": ours for name, ours in _SIZES.items()}
"""Our networks, by model_id; those with _1x1 have 1x1 kernels throughout."""

_NETWORK = {
    "base_width": "width",
    "nrof_blocks": "blocks",
    "nrof_layers_per_block": "depth",
    "kernel_size": "kernel_size",
}
_KEYS = (
    "name", "model_id", "get_conv", "get_activation", "get_linear", "get_conv_first", "get_conv_head", "nrof_classes",
    "seed", *_NETWORK,
)  # fmt: skip


def convert_model(top: Section, out: Conversion) -> None:
    """Convert the section `model`.

    Args:
        top: The settings.
        out: Gets the network, its layers and its seed.

    Raises:
        UserError: If a class, a key or a value is unknown.
    """
    model = top.child("model")
    kind = model.need("name").one_of("model", ("SimplifiedConvNet", "conv_net"))
    model.refuse_unread(_KEYS)
    out.tree["model"] = _network(model, kind, out)
    out.tree["seed"] = _seed(model, out)
    conv = model.need("get_conv")
    layer = choice(conv, lambda item: LAYERS[item.one_of("layer", LAYERS)])
    out.tree["layer"] = layer
    out.tree["activation"] = choice(
        model.need("get_activation"), lambda item: ACTIVATIONS[item.one_of("activation", ACTIVATIONS)]
    )
    _remember(out, conv=conv)
    _note_different(conv, out)
    if isinstance(layer, Drawn):
        out.differs("dense layers are those that go with the layer that is drawn; all layers pad circularly")
        for key in ("get_linear", "get_conv_first", "get_conv_head"):
            value = model.get(key)
            if value is not None:
                out.no_counterpart(model.full(key), value, "the layer is drawn")
        return
    if layer in _OPTIONS:
        out.tree["layer_options"] = dict(_OPTIONS[layer])
    if layer in ZERO_PADDED:
        out.tree["model"]["padding_mode"] = "zeros"
    _first(model, layer, out)
    out.tree["linear"] = _head(model, layer, out)


def _network(model: Section, kind: str, out: Conversion) -> dict[str, Any]:
    sizes = {key: model.get(key) for key in _NETWORK}
    if kind == "conv_net":
        name = model.need("model_id").one_of("model_id", MODELS)
        for key, value in sizes.items():
            if value is not None:
                out.no_counterpart(model.full(key), value, f"{name} overrides it")
        return {"name": MODELS[name]} | ({"kernel_size": 1} if name.endswith("_1x1") else {})
    defaults = {"base_width": 16, "nrof_blocks": 5, "nrof_layers_per_block": 3, "kernel_size": 1}
    numbers = {key: defaults[key] if v is None else int(v.number(key)) for key, v in sizes.items()}
    return {"name": "convnet-xs"} | {_NETWORK[key]: number for key, number in numbers.items()}


def _seed(model: Section, out: Conversion) -> int:
    seed = model.get("seed")
    if seed is None or has_random(seed):
        shown = "a random one" if seed is None else f"seed={seed.shown()}"
        out.differs(f"seed=0, there {shown}; it seeds the whole run, there the first weights alone")
        return 0
    out.differs("the seed is that of the whole run, there of the first weights alone")
    return int(seed.number("seed"))


def _remember(out: Conversion, **classes: Marked | None) -> None:
    for part, value in classes.items():
        if value is not None and not has_random(value):
            out.classes[part] = str(value.value)


def _note_different(conv: Marked, out: Conversion) -> None:
    named = conv.value if isinstance(conv.value, list) else [conv]
    for item in named:
        if item.value in _DIFFERENT:
            out.differs(_DIFFERENT[item.value])


def _first(model: Section, layer: str, out: Conversion) -> None:
    first = model.get("get_conv_first")
    if first is None:
        return
    if LAYERS[first.one_of("layer", LAYERS)] != layer:
        out.no_counterpart("model.get_conv_first", first, f"the first convolution is {layer}, like the others")
    _remember(out, first=first)


# A 1x1 convolution of a single pixel is a dense layer.
def _head(model: Section, layer: str, out: Conversion) -> str:
    linear, conv = model.get("get_linear"), model.get("get_conv_head")
    if linear is not None:
        if conv is not None:
            out.no_counterpart("model.get_conv_head", conv, "get_linear goes before")
        _remember(out, linear=linear)
        return LINEAR[linear.one_of("linear layer", LINEAR)]
    head = layer if conv is None else LAYERS[conv.one_of("layer", LAYERS)]
    _remember(out, head=conv)
    if head in _NO_DENSE:
        out.differs(f"the head is a {_NO_DENSE[head]} layer, there a 1x1 convolution by {head}")
    return _NO_DENSE.get(head, head)
