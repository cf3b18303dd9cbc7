"""Losses, optimisers and schedules of "1-Lipschitz Layers Compared"."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.conversion import Conversion, parts_of
from onelip.experiments.convert.drawn_values import number_or_drawn
from onelip.experiments.convert.marked import Section

_LOSSES = (
    "CrossEntropyLoss",
    "LipCrossEntropyLoss",
    "LipCrossEntropyLossOLD",
    "MultiMarginLoss",
    "MultiMarginLossBUGGED",
)

_SGD = ("name", "lr", "weight_decay", "momentum", "nesterov", "dampening")
_ADAM = ("name", "lr", "weight_decay", "betas", "eps", "amsgrad")


def convert_loss(top: Section, out: Conversion) -> dict[str, Any]:
    """Convert the loss.

    Args:
        top: The settings.
        out: Gets the notes.

    Returns:
        The section `loss`.

    Raises:
        UserError: If a loss or a key is unknown.
    """
    loss = top.child("loss")
    name = loss.need("name").one_of("loss", _LOSSES)
    if name.startswith("LipCrossEntropyLoss"):
        loss.refuse_unread(("name", "margin", "temperature"))
        if name.endswith("OLD"):
            out.differs("the loss has its temperature as a factor, there not; rates of SGD are larger here accordingly")
        options = {key: _number(loss, key, default) for key, default in (("margin", 0.0), ("temperature", 1.0))}
        return {"name": "offset-cross-entropy", **options}
    if name == "CrossEntropyLoss":
        section = {"name": "cross-entropy"}
    else:
        section = {"name": "multi-margin", "margin": _number(loss, "margin", 1.0), "p": _number(loss, "p", 1.0)}
    out.leave_out(loss)
    return section


def convert_optimizer(top: Section, out: Conversion) -> dict[str, Any]:
    """Convert the optimiser.

    Args:
        top: The settings.
        out: Gets the notes.

    Returns:
        The section `optimizer`.

    Raises:
        UserError: If an optimiser or a key is unknown, or the rate is missing.
    """
    optimizer = top.child("optimizer")
    name = optimizer.need("name").one_of("optimizer", ("SGD", "Adams"))
    optimizer.refuse_unread(_SGD if name == "SGD" else _ADAM)
    decay = _number(optimizer, "weight_decay", 0.0)
    if name == "SGD":
        section = {"name": "sgd", "lr": number_or_drawn(optimizer.need("lr"), "lr"), "weight_decay": decay}
        section["momentum"] = _number(optimizer, "momentum", 0.0)
        section["nesterov"] = optimizer.plain("nesterov", False)
        if optimizer.plain("dampening", 0) == 0:
            optimizer.get("dampening")
        else:
            optimizer.read.discard("dampening")
    else:
        section = {"name": "adam", "lr": _number(optimizer, "lr", 1e-3), "weight_decay": decay}
        section |= {"betas": optimizer.plain("betas", [0.9, 0.999]), "eps": _number(optimizer, "eps", 1e-8)}
    out.leave_out(optimizer)
    return section


def convert_schedule(top: Section, epochs: int, out: Conversion) -> dict[str, Any]:
    """Convert the schedule of the learning rate.

    Args:
        top: The settings.
        epochs: Length of the training.
        out: Gets the notes.

    Returns:
        The section `schedule`.

    Raises:
        UserError: If a schedule is unknown.
    """
    scheduler = top.section("lr_scheduler")
    if scheduler is None:
        return {"name": "constant"}
    name = scheduler.need("name").one_of("scheduler", ("MultiStepLR", "OneCycleLR"))
    if name == "MultiStepLR":
        milestones = scheduler.need("milestones").plain()
        parts = parts_of(milestones, epochs)
        section = {"name": "step", "milestones": parts, "factor": _number(scheduler, "gamma", 0.1)}
        if len(parts) < len(milestones):
            out.differs(f"milestones={milestones} beyond {epochs} epochs are left out, as they are never reached")
        out.leave_out(scheduler)
        return section if parts else {"name": "constant"}
    return _one_cycle(scheduler, epochs, out)


def _one_cycle(scheduler: Section, epochs: int, out: Conversion) -> dict[str, Any]:
    length = scheduler.need("epochs")
    if length.value != epochs:
        out.differs(f"the cycle has the {epochs} epochs of the training, there {length.shown()}")
    start = 1 / _plain(scheduler, "div_factor", 25.0)
    section = {
        "name": "one-cycle",
        "warmup": _number(scheduler, "pct_start", 0.3),
        "start": float(f"{start:.6g}"),
        "end": float(f"{start / _plain(scheduler, 'final_div_factor', 1e4):.6g}"),
    }
    out.differs("the rate follows each step, there each epoch")
    if scheduler.plain("cycle_momentum", True):
        out.differs(
            "the momentum stays, there OneCycleLR moves it from 0.95 to 0.85 and back, whatever the optimizer says"
        )
    if scheduler.plain("anneal_strategy", "cos") != "cos":
        scheduler.read.discard("anneal_strategy")
    out.leave_out(scheduler)
    return section


def _number(section: Section, key: str, default: float) -> Any:
    value = section.get(key)
    return default if value is None else number_or_drawn(value, key)


def _plain(section: Section, key: str, default: float) -> float:
    value = section.get(key)
    return default if value is None else float(value.number(key))
