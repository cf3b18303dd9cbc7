"""How models, configurations, tests and docs learn of a layer: one decorator line per method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from torch import nn

from onelip.linalg import unknown_name

Kind = Literal["conv1d", "conv2d", "conv_transpose2d", "linear", "activation", "pool", "normalization"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Norm = Literal["l2", "linf"]
M = TypeVar("M", bound=type[nn.Module])


@dataclass(frozen=True)
class LayerRecord:
    """What the library knows about one registered layer.

    Attributes:
        kind: What it is a drop-in for.
        name: The name it is built by.
        factory: The class.
        orthogonal: Can every singular value be 1 (under circular padding, for convolutions)? The instance
            attribute `orthogonal` answers for one layer.
        paddings: Padding modes under which its bound holds (convolutions).
        square: Must it keep the number of channels or features?
        strides: May the stride exceed 1 (convolutions)?
        paper: Authors, year and arXiv number.
        cost: Cost of the constraint per weight update, beside the plain layer's cost, in words.
        exceptions: Contract tests that do not apply, each with its reason.
        norm: The norm in which the method makes the layer 1-Lipschitz. `lipschitz_bound` is of the l2 norm for all.
    """

    kind: Kind
    name: str
    factory: type[nn.Module]
    orthogonal: bool
    paddings: tuple[str, ...]
    square: bool
    strides: bool
    paper: str
    cost: str
    exceptions: Mapping[str, str] = field(default_factory=dict)
    norm: Norm = "l2"


_RECORDS: dict[tuple[Kind, str], LayerRecord] = {}


def register(
    *,
    kind: Kind,
    name: str,
    paper: str,
    cost: str = "none",
    orthogonal: bool = False,
    paddings: tuple[str, ...] = (),
    square: bool = False,
    strides: bool = True,
    exceptions: Mapping[str, str] | None = None,
    norm: Norm = "l2",
) -> Callable[[M], M]:
    """Enter a layer class in the registry.

    Args:
        kind: What it is a drop-in for.
        name: The name to build it by, lower case with hyphens.
        paper: Authors, year and arXiv number, or where the idea is from.
        cost: Cost of the constraint per weight update, in words.
        orthogonal: Can every singular value be 1?
        paddings: Padding modes under which its bound holds.
        square: Must it keep the number of channels or features?
        strides: May the stride exceed 1?
        exceptions: Contract tests that do not apply, each with its reason.
        norm: The norm in which the method makes the layer 1-Lipschitz.

    Returns:
        A decorator that returns the class unchanged.

    Raises:
        ValueError: If the kind is unknown, the name is taken, or an entry is incomplete.
    """
    if kind not in KINDS:
        raise ValueError(unknown_name("layer kind", kind, KINDS))
    if (kind, name) in _RECORDS:
        raise ValueError(f"name={name!r} is already registered as a {kind}; choose another name")
    if kind.startswith("conv") and not paddings:
        raise ValueError(f"paddings=() in the record of {kind} {name!r}; name the modes its bound holds for")

    def enter(factory: M) -> M:
        _RECORDS[kind, name] = LayerRecord(
            kind, name, factory, orthogonal, paddings, square, strides, paper, cost, dict(exceptions or {}), norm
        )
        return factory

    return enter


def records(kind: Kind | None = None) -> tuple[LayerRecord, ...]:
    """List the registered layers.

    Args:
        kind: Only this kind, or None for all.

    Returns:
        Records sorted by kind and name.
    """
    return tuple(r for key, r in sorted(_RECORDS.items()) if kind in (None, key[0]))


def available(kind: Kind) -> tuple[str, ...]:
    """List the names of one kind of layer.

    Args:
        kind: One of `KINDS`, such as "conv2d" or "linear".

    Returns:
        Sorted names.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(unknown_name("layer kind", kind, KINDS))
    return tuple(r.name for r in records(kind))


def record(kind: Kind, name: str) -> LayerRecord:
    """Look up one layer.

    Args:
        kind: Its kind.
        name: Its name.

    Returns:
        The record.

    Raises:
        ValueError: If there is no such layer; the message has the nearest name.
    """
    if (kind, name) not in _RECORDS:
        raise ValueError(unknown_name(f"{kind} layer", name, available(kind)))
    return _RECORDS[kind, name]


def conv1d(name: str, in_channels: int, out_channels: int, kernel_size: int, **options: Any) -> nn.Module:
    """Build a 1-D convolution by method name.

    Args:
        name: A name from `available("conv1d")`.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Kernel size.
        **options: The other arguments of the class, those of `torch.nn.Conv1d` and the method's own.

    Returns:
        The layer.
    """
    return record("conv1d", name).factory(in_channels, out_channels, kernel_size, **options)


def conv2d(name: str, in_channels: int, out_channels: int, kernel_size: Any, **options: Any) -> nn.Module:
    """Build a 2-D convolution by method name.

    Args:
        name: A name from `available("conv2d")`.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Kernel size, an int or (height, width).
        **options: The other arguments of the class, those of `torch.nn.Conv2d` and the method's own.

    Returns:
        The layer.
    """
    return record("conv2d", name).factory(in_channels, out_channels, kernel_size, **options)


def conv_transpose2d(name: str, in_channels: int, out_channels: int, kernel_size: Any, **options: Any) -> nn.Module:
    """Build a 2-D transposed convolution by method name.

    Args:
        name: A name from `available("conv_transpose2d")`.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Kernel size, an int or (height, width).
        **options: The other arguments of the class, those of `torch.nn.ConvTranspose2d` and the method's own.

    Returns:
        The layer.
    """
    return record("conv_transpose2d", name).factory(in_channels, out_channels, kernel_size, **options)


def linear(name: str, in_features: int, out_features: int, **options: Any) -> nn.Module:
    """Build a dense layer by method name.

    Args:
        name: A name from `available("linear")`.
        in_features: Size of the input.
        out_features: Size of the output.
        **options: The other arguments of the class, those of `torch.nn.Linear` and the method's own.

    Returns:
        The layer.
    """
    return record("linear", name).factory(in_features, out_features, **options)


def activation(name: str, channels: int, **options: Any) -> nn.Module:
    """Build an activation by name.

    Args:
        name: A name from `available("activation")`.
        channels: Size of the axis it acts on; activations without parameters ignore nothing, they check it.
        **options: The method's own arguments.

    Returns:
        The layer.
    """
    factory: Any = record("activation", name).factory
    return factory.for_channels(channels, **options)


def pool(name: str, *arguments: Any, **options: Any) -> nn.Module:
    """Build a pooling layer by name.

    Args:
        name: A name from `available("pool")`.
        *arguments: Positional arguments of the class, such as the kernel size.
        **options: Its keyword arguments.

    Returns:
        The layer.
    """
    return record("pool", name).factory(*arguments, **options)


def normalization(name: str, num_features: int, **options: Any) -> nn.Module:
    """Build a normalization or centring layer by name.

    Args:
        name: A name from `available("normalization")`.
        num_features: Channels of the input.
        **options: The method's own arguments.

    Returns:
        The layer.
    """
    return record("normalization", name).factory(num_features, **options)
