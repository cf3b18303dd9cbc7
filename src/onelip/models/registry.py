"""How a model is found by name and built with a layer method."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from onelip.linalg import unknown_name
from onelip.models.methods import Methods


class Builder(Protocol):
    """Builds a network of (N, *input_shape) samples with n_classes outputs."""

    def __call__(self, methods: Methods, input_shape: tuple[int, ...], n_classes: int, **options: Any) -> nn.Module:
        """Build the network."""


@dataclass(frozen=True)
class ModelRecord:
    """What is known about a registered model.

    Attributes:
        name: The name users type.
        builder: Called with (methods, input_shape, n_classes, **options).
        defaults: Options of the name that differ from the builder's defaults.
        summary: One line for lists.
    """

    name: str
    builder: Builder
    defaults: dict[str, Any]
    summary: str

    @property
    def options(self) -> dict[str, Any]:
        """The options that users may set, with their defaults."""
        parameters = list(inspect.signature(self.builder).parameters.values())[3:]
        return {p.name: p.default for p in parameters} | self.defaults


_RECORDS: dict[str, ModelRecord] = {}


def register_model(
    name: str, summary: str, **defaults: Any
) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Enter a builder in the registry, possibly under several names with other defaults.

    Args:
        name: The name users type.
        summary: One line for lists.
        **defaults: Options of this name.

    Returns:
        A decorator that returns the builder unchanged.

    Raises:
        ValueError: If the name is taken.
    """
    if name in _RECORDS:
        raise ValueError(f"model {name!r} is registered already; choose another name")

    def enter(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        _RECORDS[name] = ModelRecord(name, builder, defaults, summary)
        return builder

    return enter


def available() -> tuple[str, ...]:
    """List the registered models.

    Returns:
        Sorted names.
    """
    return tuple(sorted(_RECORDS))


def record(name: str) -> ModelRecord:
    """Look up a model.

    Args:
        name: Its name.

    Returns:
        Its record.

    Raises:
        ValueError: If there is no such model; the message has the nearest name.
    """
    if name not in _RECORDS:
        raise ValueError(unknown_name("model", name, _RECORDS))
    return _RECORDS[name]


def build(
    name: str,
    *,
    input_shape: tuple[int, ...],
    n_classes: int,
    layer: str = "aoc",
    linear: str | None = None,
    activation: str = "maxmin",
    **options: Any,
) -> nn.Module:
    """Build a network by name.

    Args:
        name: A name from `available()`.
        input_shape: (channels, height, width) of one sample.
        n_classes: Number of outputs.
        layer: Method of the convolutions, from `onelip.layers.available("conv2d")`, or "plain" for torch's own.
        linear: Method of the dense layers, from `onelip.layers.available("linear")`, or "plain"; by default the one
            of the same name as `layer` if there is one, else "bjorck".
        activation: From `onelip.layers.available("activation")`.
        **options: The model's own options, see `record(name).options`.

    Returns:
        The network, initialised from torch's generator.

    Raises:
        ValueError: If a name or an option is unknown, or the image does not fit the network.
    """
    found = record(name)
    for option in options:
        if option not in found.options:
            raise ValueError(unknown_name(f"option of model {name!r}", option, found.options))
    if n_classes < 2:
        raise ValueError(f"n_classes={n_classes} of model {name!r} must be at least 2")
    methods = Methods(name, layer, linear, activation)
    return found.builder(methods, tuple(input_shape), n_classes, **(found.defaults | options))
