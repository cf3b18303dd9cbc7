"""What a run was given: the factors of its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from onelip.experiments.collection.config_text import ConfigText

Factor = str | int | float

_CLASSIFIER = {
    "data": ("data", "name"),
    "model": ("model", "name"),
    "layer": ("layer",),
    "linear": ("linear",),
    "layer_options": ("layer_options",),
    "frozen": ("layer_options", "frozen"),
    "activation": ("activation",),
    "loss": ("loss", "name"),
    "margin": ("loss", "margin"),
    "optimizer": ("optimizer", "name"),
    "clipping": ("clipping", "method"),
    "clipped_norms": ("clipping", "batch_norm"),
    "batch_norm": ("model", "batch_norm"),
    "per_class": ("data", "subset", "per_class"),
    "dropout": ("model", "dropout_hidden"),
    "lr": ("optimizer", "lr"),
    "weight_decay": ("optimizer", "weight_decay"),
    "max_epochs": ("trainer", "max_epochs"),
    "max_steps": ("trainer", "max_steps"),
    "projection": ("projection", "kind"),
    "adversarial": ("adversarial", "kind"),
    "jacobian": ("jacobian", "kind"),
    "seed": ("seed",),
}
_CRITIC = {
    "data": ("q", "set"),
    "p": ("p", "name"),
    "q": ("q", "name"),
    "gan": ("p", "config"),
}
_GAN = {
    "model": ("critic", "model", "name"),
    "layer": ("critic", "layer"),
    "linear": ("critic", "linear"),
    "layer_options": ("critic", "layer_options"),
    "activation": ("critic", "activation"),
    "critic": ("critic", "name"),
    "generator": ("generator", "name"),
}
_OF_TASK = {
    "classification": _CLASSIFIER,
    "wasserstein": _CLASSIFIER | _CRITIC,
    "gan": _CLASSIFIER | _GAN,
}


SHOWN = (
    "data",
    "per_class",
    "model",
    "layer",
    "layer_options",
    "activation",
    "loss",
    "optimizer",
    "clipping",
    "critic",
    "generator",
    "p",
    "q",
    "gan",
    "seed",
)
"""Factors that runs are listed with; the others tell only rows of published tables apart."""


def factors_of(text: ConfigText, task: str) -> dict[str, Factor]:
    """Read what runs differ in.

    Args:
        text: A run's configuration.
        task: Its task.

    Returns:
        Names of parts and the seed; what the configuration leaves open is not there. Options of the layer are JSON.
    """
    found = {name: text.get(*keys) for name, keys in _OF_TASK.get(task, _CLASSIFIER).items()}
    if task == "wasserstein" and found["p"] == found["q"] == "shells":
        found["data"] = _shells(text)
    return {name: _plain(value) for name, value in found.items() if value not in (None, {})}


# Several distances of one kind differ in how many centres there are, and in their dimension.
def _shells(text: ConfigText) -> str:
    centers, empty = text.get("q", "centers"), text.get("q", "empty_dim")
    return f"{len(centers)} shell{'s' if len(centers) > 1 else ''} in {len(centers[0]) + (empty or 0)}-D"


def _plain(value: Any) -> Factor:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (str, int, float)):
        return value
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, sort_keys=True, default=str)
