"""Architectures by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from onelip.layers import Normalize
from onelip.models.method import PLAIN, Method, choose_method
from onelip.registry import F, Registry

_REGISTRY: Registry[nn.Sequential] = Registry("model", supplied=("input_shape", "n_classes", "method"))
available = _REGISTRY.available


@dataclass(frozen=True)
class UsualMethod:
    """What an architecture is built with where the user says nothing.

    Attributes:
        layer: Method of its convolutions.
        linear: Method of its dense layers; None for the dense form of the convolutions', or an orthogonal one.
        activation: Its activation.
    """

    layer: str
    linear: str | None
    activation: str


_USUAL: dict[str, UsualMethod] = {}


def usual_method(name: str) -> UsualMethod:
    """Look up what an architecture is built with where the user says nothing.

    Args:
        name: A name from `available()`.

    Returns:
        The names of its methods.
    """
    return _USUAL[name]


def register_model(
    name: str,
    *,
    summary: str | None = None,
    layer: str = "aoc",
    linear: str | None = None,
    activation: str = "maxmin",
) -> Callable[[F], F]:
    """Register an architecture.

    Args:
        name: The name users type.
        summary: One line for lists; the first line of the docstring by default.
        layer: Method of its convolutions where the user names none.
        linear: Method of its dense layers where the user names none; None for the dense form of the convolutions'.
        activation: Its activation where the user names none.

    Returns:
        A decorator that leaves the factory as it is.

    Raises:
        ValueError: The name is taken, or there is no summary.
    """
    enter = _REGISTRY.register(name, summary=summary)
    _USUAL[name] = UsualMethod(layer, linear, activation)
    return enter


def build(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    layer: str | None = None,
    linear: str | None = None,
    activation: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    layer_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> nn.Sequential:
    """Build a network by name, with any layer method.

    Args:
        name: A name from `available()`.
        input_shape: `(C, H, W)` of an image.
        n_classes: Number of logits, >= 1; 1 for a critic or another network with a single number as output.
        layer: Method of the convolutions, from `onelip.layers.available("conv2d")` or "plain" for `nn.Conv2d`; a
            network of dense layers alone also takes a dense method here. By default what the architecture was published
            with, or "aoc".
        linear: Method of the dense layers, from `onelip.layers.available("linear")` or "plain"; by default what the
            architecture was published with, or the dense form of `layer`, or an orthogonal one.
        activation: From `onelip.layers.available("activation")`; by default what the architecture was published with,
            or MaxMin.
        mean: Pixel to subtract first, one number per channel; nothing by default.
        std: What to divide by then, one number per channel; by default pixels are not divided. The network still takes
            pixels: its constant, that of the whole map from pixels to logits, has the factor 1 / min(std).
        layer_options: Options of the method `layer`, such as `{"rank": "free"}` for "aoc"; of its convolutions, if it
            has any.
        **options: The architecture's own.

    Returns:
        Maps `(B, C, H, W)` to `(B, n_classes)`; weights are drawn from torch's generator.

    Raises:
        ValueError: A name is unknown, an option is unknown or out of range, or the image does not fit the network.
    """
    part = _REGISTRY.part(name, options)
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            f"input_shape={tuple(input_shape)} for model {name!r} must be (channels, height, width), all >= 1"
        )
    if n_classes < 1:
        raise ValueError(f"n_classes={n_classes} for model {name!r} must be >= 1")
    method = _chosen(_USUAL[name], layer, linear, activation, layer_options)
    network = part.factory(input_shape=tuple(input_shape), n_classes=n_classes, method=method, **options)
    if mean is None and std is None:
        return network
    means = (0.0,) * input_shape[0] if mean is None else mean
    stds = (1.0,) * input_shape[0] if std is None else std
    for key, values in (("mean", means), ("std", stds)):
        if len(values) != input_shape[0]:
            raise ValueError(
                f"{key} has {len(values)} entries for model {name!r}; the images have {input_shape[0]} channels"
            )
    return nn.Sequential(OrderedDict(normalize=Normalize(means, stds), network=network))


def _chosen(
    usual: UsualMethod,
    layer: str | None,
    linear: str | None,
    activation: str | None,
    layer_options: Mapping[str, Any] | None,
) -> Method:
    # An ordinary network is ordinary throughout.
    if linear is None and layer != PLAIN:
        linear = usual.linear
    return choose_method(layer or usual.layer, linear, activation or usual.activation, layer_options)


def check_sizes(where: str, *, lists: Mapping[str, object] | None = None, **sizes: object) -> None:
    """Check that options are positive integers, or lists of them.

    Args:
        where: The model's name.
        lists: The options that are lists, by name.
        **sizes: The options that are single integers, by name.

    Raises:
        ValueError: One of them is not.
    """
    for name, value in sizes.items():
        if not _is_size(value):
            raise ValueError(f"{name}={value!r} for model {where!r} must be an integer >= 1")
    for name, value in (lists or {}).items():
        if not isinstance(value, list | tuple) or not all(map(_is_size, value)):
            raise ValueError(f"{name}={value!r} for model {where!r} must be a list of integers >= 1")


def check_choice(where: str, option: str, value: object, allowed: Iterable[str]) -> None:
    """Check that an option is one of some names.

    Args:
        where: The model's name.
        option: The option's name.
        value: Its value.
        allowed: The names.

    Raises:
        ValueError: It is none of them.
    """
    names = tuple(allowed)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{option}={value!r} for model {where!r} must be one of {', '.join(map(repr, names))}")


def check_flags(where: str, **flags: object) -> None:
    """Check that options are True or False.

    Args:
        where: The model's name.
        **flags: The options by name.

    Raises:
        ValueError: One of them is something else.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name}={value!r} for model {where!r} must be True or False")


def check_fractions(where: str, **fractions: object) -> None:
    """Check that options are numbers from 0 on and below 1.

    Args:
        where: The model's name.
        **fractions: The options by name.

    Raises:
        ValueError: One of them is not.
    """
    for name, value in fractions.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
            raise ValueError(f"{name}={value!r} for model {where!r} must be a number in [0, 1)")


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
