"""Weights of other libraries' layers, one rule for each of their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.experiments.errors import UserError
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.linalg import unknown_name


@dataclass(frozen=True)
class Source:
    """The parameters of one layer of another library.

    Attributes:
        name: Its class, such as "CayleyConv".
        tensors: Its state dict.
        image_size: Height and width of its images, which some formulas contain.
        where: What it is called in messages.
    """

    name: str
    tensors: Mapping[str, Tensor]
    image_size: tuple[int, int] | None = None
    where: str = "the layer"

    def tensor(self, key: str, *other: str) -> Tensor:
        """Look up a tensor.

        Args:
            key: Its key.
            *other: Keys that it may have instead.

        Returns:
            The tensor in float64.

        Raises:
            UserError: If it is missing, or not finite.
        """
        for name in (key, *other):
            if name in self.tensors:
                tensor = self.tensors[name].detach().double()
                if not bool(tensor.isfinite().all()):
                    raise UserError(f"{name} of {self.where}, a {self.name}, holds numbers that are not finite")
                return tensor
        raise UserError(f"{key} of {self.where}, a {self.name}, is missing in the checkpoint")

    @property
    def bias(self) -> Tensor | None:
        """Its bias as a vector, or None."""
        return self.tensors["bias"].detach().double().flatten() if "bias" in self.tensors else None


@dataclass(frozen=True)
class Loaded:
    """How well a layer was loaded.

    Attributes:
        exact: Is it the same function, but for rounding and what their iterations leave unfinished?
        note: What differs, one sentence; "" if nothing does.
    """

    exact: bool
    note: str = ""


Rule = Callable[[nn.Module, Source], Loaded]

_RULES: dict[str, tuple[tuple[str, ...], Rule]] = {}


def register_rule(*names: str, into: tuple[str, ...]) -> Callable[[Rule], Rule]:
    """Register how weights of some classes are loaded.

    Args:
        *names: The other library's classes.
        into: Our classes that take them.

    Returns:
        A decorator that leaves the rule as it is.
    """

    def enter(rule: Rule) -> Rule:
        for name in names:
            _RULES[name] = (into, rule)
        return rule

    return enter


def known_layers() -> dict[str, tuple[str, ...]]:
    """List the classes whose weights can be loaded.

    Returns:
        Our classes that take them, by the name of theirs.
    """
    return {name: into for name, (into, _) in sorted(_RULES.items())}


def load_layer_(
    layer: nn.Module,
    source: str,
    tensors: Mapping[str, Tensor],
    *,
    image_size: tuple[int, int] | None = None,
    project: bool = False,
    where: str = "the layer",
) -> Loaded:
    """Load the weights of another library's layer into one of ours, in place.

    Args:
        layer: A layer of `onelip.layers`.
        source: The class of the other layer: one of `known_layers()`.
        tensors: Its state dict.
        image_size: Height and width of its images; "CayleyConv" and "SandwichConv" need them.
        project: May the nearest function that the layer can be stand in where it cannot be the same?
        where: What the layer is called in messages.

    Returns:
        Whether it is the same function, and what differs.

    Raises:
        UserError: If the class is unknown, the layer is of another kind or shape, or it cannot be the same function
            and `project` is false; then the layer may be changed.
    """
    if source not in _RULES:
        raise UserError(unknown_name(f"the class of {where},", source, _RULES))
    into, rule = _RULES[source]
    if type(layer).__name__ not in into:
        raise UserError(
            f"{where}, a {source}, loads into {' or '.join(into)}, and the layer here is {type(layer).__name__}"
        )
    with torch.no_grad():
        loaded = rule(layer, Source(source, tensors, image_size, where))
    if not (loaded.exact or project):
        raise UserError(f"{loaded.note}; --project (project=True) allows that")
    return loaded


def put_(layer: nn.Module, source: Source, values: Mapping[str, Tensor | None]) -> None:
    """Copy tensors into parameters of the same shape.

    Args:
        layer: The layer.
        source: Where they come from, for messages.
        values: Tensors by the parameter's name; None where there is none.

    Raises:
        UserError: If a shape differs, or one of the two has a parameter that the other lacks.
    """
    for name, value in values.items():
        parameter = getattr(layer, name, None)
        if parameter is None and value is None:
            continue
        if parameter is None or value is None or parameter.shape != value.shape:
            theirs, ours = (None if t is None else tuple(t.shape) for t in (value, parameter))
            raise UserError(
                f"{name} of {source.where}, a {source.name}, has shape {theirs}, and {ours} in {type(layer).__name__}"
            )
        parameter.copy_(value)


def assign_nearest_(layer: nn.Module, source: Source, weight: Tensor) -> Loaded:
    """Give a layer the weight nearest to one that is given, and its bias.

    Args:
        layer: A layer with an explicit weight.
        source: Where the weight comes from; its bias is copied.
        weight: In float64.

    Returns:
        Exact if nothing is lost; otherwise the note has the distance.

    Raises:
        TypeError: If the layer has no explicit weight.
        UserError: If the weight has another shape.
    """
    if not isinstance(layer, ExplicitWeight):
        raise TypeError(f"{type(layer).__name__} has no weight to assign to")
    if layer.weight.shape != weight.shape:
        raise UserError(
            f"the weight of {source.where}, a {source.name}, has shape {tuple(weight.shape)}, and "
            f"{tuple(layer.weight.shape)} in {type(layer).__name__}"
        )
    layer.weight = weight.to(layer.weight.dtype)
    put_(layer, source, {"bias": source.bias})
    distance = float((layer.weight.double() - weight).norm() / weight.norm())
    if distance <= 1e-5:
        return Loaded(True)
    return Loaded(False, f"{source.where}: projected, the weight is {distance:.2g} of its norm away")
