"""Settings files of "1-Lipschitz Layers Compared", with their tags."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.compared_data import convert_data
from onelip.experiments.convert.compared_model import convert_model
from onelip.experiments.convert.compared_training import convert_loss, convert_optimizer, convert_schedule
from onelip.experiments.convert.conversion import Conversion, as_fraction, check_name
from onelip.experiments.convert.drawn_values import has_random
from onelip.experiments.convert.marked import Marked, Section
from onelip.linalg import unknown_name

TAGS = (
    "model", "layer", "dataset", "optimizer", "scheduler", "lr_scheduler", "metric", "choice", "randint", "randfloat",
    "randlog10",
)  # fmt: skip
"""Tags of these files."""

_KEYS = (
    "model", "trainset", "valset", "batch_size", "epochs", "loss", "device", "optimizer", "lr_scheduler",
    "eval_metrics", "num_workers", "save_memory", "debug",
)  # fmt: skip

_METRICS = (
    "Accuracy", "BatchVariance", "CRA", "Corrects", "CrossEntropyLoss", "LipCrossEntropyLoss", "LipCrossEntropyLossOLD",
    "Margin", "MultiMarginLoss", "MultiMarginLossBUGGED", "RobustAccuracy", "SignedMargin", "Throughput",
)  # fmt: skip

TRIALS = 16
"""Draws of the random search of the paper."""


def convert_layers_compared(marked: Marked) -> Conversion:
    """Convert a settings file.

    Args:
        marked: What it holds.

    Returns:
        A configuration; a sweep if something in it is random, other than the seed.

    Raises:
        UserError: If a tag, a key, a class or a value is unknown.
    """
    _check_tags(marked)
    top = Section(marked)
    top.refuse_unread(_KEYS)
    out = Conversion()
    out.tree["name"] = ""
    epochs = _whole(top.need("epochs"), "epochs")
    out.tree["data"] = convert_data(top, out)
    convert_model(top, out)
    out.tree["loss"] = convert_loss(top, out)
    out.tree["optimizer"] = convert_optimizer(top, out)
    out.tree["schedule"] = convert_schedule(top, epochs, out)
    out.tree["trainer"] = {"max_epochs": epochs, "validate_every": max(1, epochs // 50)}
    _convert_metrics(top.section("eval_metrics"), out)
    out.leave_out(top)
    out.tree["name"] = check_name(f"{_named(out.tree['model'])}-{_named(out.tree['layer'])}-{out.tree['data']['name']}")
    if out.drawn:
        out.tree["sweep"] = {"search": "random", "trials": TRIALS, "metric": "val_certified_accuracy"}
        out.notes.append(
            f"added: sweep.trials={TRIALS}, as many draws as in the paper, which started that many jobs; draws are "
            f"seeded here"
        )
    return out


def _named(value: Any) -> str:
    if isinstance(value, dict):
        return _named(value["name"])
    return value if isinstance(value, str) else "some"


def _whole(value: Marked, key: str) -> int:
    number = value.plain()
    if has_random(value) or isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise value.refuse(f"{key}={value.shown()} must be a positive whole number")
    return number


def _check_tags(marked: Marked) -> None:
    if marked.tag and marked.tag not in TAGS:
        raise marked.refuse(unknown_name("tag", f"!{marked.tag}", [f"!{tag}" for tag in TAGS]))
    items = marked.value.values() if isinstance(marked.value, dict) else marked.value
    for item in items if isinstance(marked.value, dict | list) else ():
        _check_tags(item)


def _convert_metrics(metrics: Section | None, out: Conversion) -> None:
    radii: list[float] = []
    named = {} if metrics is None else {key: metrics.child(key) for key in metrics.marked.value}
    for metric in named.values():
        name = metric.need("name").one_of("metric", _METRICS)
        if name in ("RobustAccuracy", "CRA") and metric.plain("p", 2) == 2:
            radii.append(float(metric.need("eps").number("eps")))
            metric.get("aggregation")
        elif name != "Accuracy":
            out.no_counterpart(metric.path, metric.marked)
            metric.read.update(metric.marked.value)
    written = [as_fraction(radius) for radius in sorted(set(radii))] or [f"{i}/255" for i in (36, 72, 108)] + [1.0]
    rounded = [f"{r:g} is {w}" for r, w in zip(sorted(set(radii)), written, strict=False) if isinstance(w, str)]
    if rounded:
        out.differs(f"radii are exact: {', '.join(rounded)}")
    if not radii:
        out.notes.append("added: certify.radii, as no RobustAccuracy is measured")
    out.tree["certify"] = {"radii": written, "selection_radius": written[0], "weights": "last"}
    out.tree["attack"] = {"radii": written, "steps": 20, "restarts": 2}
    out.notes.append("added: an attack on the test images at the same radii, which they have none of")
