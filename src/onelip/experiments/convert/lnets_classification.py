"""Classifiers of LNets."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.conversion import Conversion, check_name
from onelip.experiments.convert.lnets_parts import (
    convert_activation,
    convert_clip,
    convert_layers,
    convert_optimizer,
    convert_schedule,
)
from onelip.experiments.convert.marked import Section

MODELS = (
    "classify_fc", "classify_fc_dropout", "classify_fc_hinge", "classify_fc_margin", "classify_fc_spec_jac",
    "lenet_classify",
)  # fmt: skip
"""Registered classifiers of LNets that have a counterpart."""

_DATA = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "fashion-mnist": "fashion-mnist",
    "imagenet-torchvision": "imagenet",
    "mnist": "mnist",
}
_PROJECTIONS = {"l_2": "l2", "l_inf_projected": "l-infinity", "l_inf_scaled": "l-infinity-scaled"}
_READ_ELSEWHERE = ("input_dim", "im_height", "im_width", "in_channels", "class_count")


def convert_classification(top: Section) -> Conversion:
    """Convert a classifier.

    Args:
        top: The file.

    Returns:
        The configuration.

    Raises:
        UserError: If a name is unknown.
    """
    out = Conversion()
    model, optim, data = (top.child(key) for key in ("model", "optim", "data"))
    kind = model.need("name").one_of("model.name", MODELS)
    out.tree["name"] = check_name(str(top.plain("exp_name", "lnets")))
    out.tree["seed"] = top.plain("seed", 0)
    out.tree["data"] = _data(data, optim, out)
    _network(model, kind, out)
    constant = float(model.plain("l_constant", 1.0))
    out.tree["loss"] = _loss(model, kind, constant, out)
    epochs = int(optim.need("epochs").number("epochs"))
    out.tree["optimizer"] = convert_optimizer(optim, constant, out)
    out.tree["schedule"] = convert_schedule(optim, epochs, out)
    out.tree["trainer"] = {"max_epochs": epochs, "validate_every": max(1, epochs // 50), **convert_clip(optim)}
    _certify(out)
    top.get("task")
    out.leave_out(top)
    return out


def _data(data: Section, optim: Section, out: Conversion) -> dict[str, Any]:
    name = _DATA[data.need("name").one_of("data.name", _DATA)]
    section: dict[str, Any] = {"name": name, "batch_size": int(optim.need("batch_size").number("batch_size"))}
    per_class = data.get("per_class_count")
    if data.get("indices_path") is not None and per_class is not None:
        section["subset"] = {"per_class": per_class.value, "validation_per_class": per_class.value}
        out.differs("the images of each class are drawn by the seed, there read from data.indices_path")
        data.get("train_size")
    else:
        held_out = round(1 - float(data.plain("train_size", 0.9)), 6)
        section["validation"] = held_out
        if per_class is not None:
            out.no_counterpart("data.per_class_count", per_class, "not read without indices_path")
    transform = data.section("transform")
    crops = transform is not None and transform.plain("type", "mnist") == "cifar"
    section["normalize"] = (
        "standardize" if transform is not None and transform.plain("type", "mnist") != "mnist" else "none"
    )
    if crops:
        section["augment"] = {"crop": 4, "flip": True}
        out.differs("deviations of the pixels are those of the data set, there [0.2023, 0.1994, 0.2010]")
    for key in _READ_ELSEWHERE:
        data.get(key)
    return section


def _network(model: Section, kind: str, out: Conversion) -> None:
    if kind == "lenet_classify":
        linear = model.child("linear").need("type").one_of("model.linear.type", ("bjorck", "standard"))
        convert_layers(model, out)
        out.tree["model"] = {"name": "lenet"} | ({"dropout": 0.5} if model.plain("dropout_on", False) else {})
        out.tree |= (
            {"layer": "rko", "linear": "bjorck"} if linear == "bjorck" else {"layer": "plain", "linear": "plain"}
        )
        if linear == "bjorck":
            out.differs("kernels are divided by their side, 5, without which the network is not 1-Lipschitz")
        out.tree["activation"] = convert_activation(model, (), out)
        model.get("output_dim")
    else:
        *widths, _ = model.need("layers").plain()
        linear = convert_layers(model, out)
        dropout = {"dropout_input": 0.2, "dropout_hidden": 0.5} if kind == "classify_fc_dropout" else {}
        out.tree["model"] = {"name": "mlp", "widths": widths, **dropout}
        out.tree["activation"] = convert_activation(model, widths, out)
    if kind == "classify_fc_spec_jac":
        out.tree["jacobian"] = {"kind": "spectral", "weight": float(model.plain("sn_reg", 0.05)), "iterations": 1}
        out.differs("the norm is that of each image's Jacobian, there one vector for all is kept from batch to batch")
    _projection(model, linear == "parseval_l2", out)


def _projection(model: Section, parseval: bool, out: Conversion) -> None:
    update, epoch = model.section("per_update_proj"), model.section("per_epoch_proj")
    for section in (update, epoch):
        if section is not None and section.plain("turned_on", False) is False and not parseval:
            # It does nothing there either.
            section.read.update(section.marked.value)
    if update is not None and (parseval or update.plain("turned_on", False) is True):
        out.tree["projection"] = {"every": "step", **_one_projection(update)}
        if epoch is not None and epoch.plain("turned_on", False) is True:
            out.no_counterpart("model.per_epoch_proj", epoch.marked, "each step projects")
    elif epoch is not None and epoch.plain("turned_on", False) is True:
        options = {"n": epoch.plain("every_n_epochs", 1), "reset_optimizer": epoch.plain("reset_optimizer", False)}
        out.tree["projection"] = {"every": "epoch", **options, **_one_projection(epoch)}


def _one_projection(section: Section) -> dict[str, Any]:
    kind = _PROJECTIONS[section.need("type").one_of(section.full("type"), _PROJECTIONS)]
    return {"kind": kind} | ({"iterations": section.plain("bjorck_iter", 20)} if kind == "l2" else {})


# The network's constant is 1 here: logits are L times as large there, and so are gradients of the hinge.
def _loss(model: Section, kind: str, constant: float, out: Conversion) -> dict[str, Any]:
    if constant != 1:
        out.differs(f"the network's constant is 1 and the loss takes account of it, there l_constant={constant:g}")
    if kind == "classify_fc_hinge":
        return {"name": "multi-margin", "margin": float(model.plain("margin", 0.3))}
    margin = float(model.plain("margin", 0.0)) if kind == "classify_fc_margin" else 0.0
    if margin == 0 and constant == 1:
        return {"name": "cross-entropy"}
    return {"name": "offset-cross-entropy", "margin": margin, "temperature": 1 / constant}


def _certify(out: Conversion) -> None:
    bounded = "l-infinity" in (out.tree["layer"], out.tree.get("projection", {}).get("kind"))
    radii = [0.01, 0.05, 0.1, 0.2] if bounded else [0.1, 0.3, 1.0, 1.58]
    weights = "last" if out.tree["data"].get("validation") == 0 else "best"
    out.tree["certify"] = {
        "norm": "linf" if bounded else "l2",
        "radii": radii,
        "selection_radius": 0.1,
        "weights": weights,
    }
    out.tree["attack"] = {"kind": "pgd", "radii": radii, "steps": 100, "restarts": 1}
    out.notes.append("added: certify and attack, whose radii are ours; weights are chosen by certified accuracy")
