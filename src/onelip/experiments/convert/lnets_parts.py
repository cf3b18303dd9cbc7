"""What the tasks of LNets share: layers, activations, optimisers and schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onelip.experiments.convert.conversion import Conversion, parts_of
from onelip.experiments.convert.marked import Section

LINEAR = {
    "bjorck": "bjorck",
    "l_inf_projected": "l-infinity",
    "parseval_l2": "plain",
    "spectral_normal": "spectral-norm",
    "standard": "plain",
}
"""Our dense layers, by linear.type."""

_ACTIVATIONS = ("group_sort", "maxmin", "maxout", "relu")

_NEVER_CLIPPED = 1e4
"""Lengths of gradients at which nothing is ever clipped; the files have 1e8 for no clipping."""


def convert_layers(model: Section, out: Conversion) -> str:
    """Convert the dense layers.

    Args:
        model: The section `model`.
        out: Gets the layer and the notes.

    Returns:
        Its name with them.

    Raises:
        UserError: If the type is unknown.
    """
    linear = model.child("linear")
    kind = linear.need("type").one_of("model.linear.type", LINEAR)
    out.tree["layer"] = LINEAR[kind]
    if kind == "bjorck":
        for key in ("bjorck_iter", "bjorck_beta", "bjorck_order", "safe_scaling"):
            value = linear.get(key)
            if value is not None:
                out.no_counterpart(linear.full(key), value, "it iterates until the weight is orthonormal")
    if kind == "spectral_normal":
        out.differs("weights are divided by a bound of their norm if it exceeds 1, there by an estimate, always")
    if linear.plain("bias", True) is not True:
        out.no_counterpart("model.linear.bias", linear.need("bias"), "layers have a bias")
    out.leave_out(linear, f"not read by {kind}")
    return kind


def convert_activation(model: Section, widths: Sequence[int], out: Conversion) -> str:
    """Convert the activation and its groups.

    Args:
        model: The section `model`.
        widths: Features of the hidden layers.
        out: Gets the notes.

    Returns:
        Our activation.

    Raises:
        UserError: If it has no counterpart.
    """
    name = model.need("activation").one_of("model.activation", _ACTIVATIONS)
    given = model.get("groupings")
    if name == "relu":
        return name
    groups = [2] if given is None else list(given.plain())[: max(1, len(widths))]
    if name == "group_sort":
        if widths and groups == list(widths):
            return "fullsort"
        ours = "groupsort"
    else:
        ours = name
    if set(groups) != {2} and given is not None:
        out.no_counterpart("model.groupings", given, f"{ours} has groups of 2")
    return ours


def convert_optimizer(optim: Section, factor: float, out: Conversion) -> dict[str, Any]:
    """Convert the optimiser.

    Args:
        optim: The section `optim`.
        factor: What gradients are multiplied by there, for optimisers that it matters to.
        out: Gets the notes.

    Returns:
        The section `optimizer`.

    Raises:
        UserError: If it is unknown.
    """
    schedule = optim.child("lr_schedule")
    name = optim.need("optimizer").one_of("optim.optimizer", ("adam", "aggmo", "nesterov", "sgd"))
    rate, decay = float(schedule.need("lr_init").number("lr_init")), float(optim.plain("wdecay", 0.0))
    momentum = float(optim.plain("momentum", 0.9))
    if name == "adam":
        return {"name": name, "lr": rate, "weight_decay": decay, "betas": [momentum, 0.999]}
    if factor != 1:
        out.differs(f"optimizer.lr={rate * factor:g}, there {rate:g} with gradients {factor:g} times as long")
    section: dict[str, Any] = {"lr": rate * factor, "weight_decay": decay}
    if name == "aggmo":
        return {"name": name, **section, "betas": optim.plain("betas", [0.0, 0.9, 0.99])}
    return {"name": "sgd", **section, "momentum": momentum, "nesterov": name == "nesterov"}


def convert_schedule(optim: Section, epochs: int, out: Conversion) -> dict[str, Any]:
    """Convert the schedule of the learning rate.

    Args:
        optim: The section `optim`.
        epochs: Length of the training.
        out: Gets the notes.

    Returns:
        The section `schedule`.

    Raises:
        UserError: If it is unknown.
    """
    schedule = optim.child("lr_schedule")
    decay = float(schedule.need("lr_decay").number("lr_decay"))
    if schedule.need("name").one_of("optim.lr_schedule.name", ("exp", "step")) == "exp":
        out.differs("the rate falls with each step, there with each epoch")
        return {"name": "exponential", "end": decay**epochs}
    milestones = schedule.need("milestones").plain()
    parts = parts_of(milestones, epochs)
    if len(parts) < len(milestones):
        out.differs(f"milestones={milestones} beyond {epochs} epochs are left out, as they are never reached")
    return {"name": "step", "milestones": parts, "factor": decay} if parts else {"name": "constant"}


def convert_clip(optim: Section) -> dict[str, float]:
    """Convert the clipping of gradients.

    Args:
        optim: The section `optim`.

    Returns:
        A key of `trainer`, if it ever acts.
    """
    limit = float(optim.plain("max_grad_norm", _NEVER_CLIPPED))
    return {"gradient_clip": limit} if limit < _NEVER_CLIPPED else {}
