"""Build the activation that takes the place of an ordinary one."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from onelip.layers import LayerRecord
from onelip.swap.graph import Site

REPLACEABLE: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish,
)  # fmt: skip
"""Activations of hidden layers. Squashing ones, such as tanh, are 1-Lipschitz and may mean what they do: they stay."""


def build_activation(record: LayerRecord, places: Sequence[Site]) -> nn.Module:
    """Build a registered activation for all places where the old one is called.

    Args:
        record: The method.
        places: Those places; empty if they are not known.

    Returns:
        The layer.

    Raises:
        ValueError: If the method needs the number of channels and it is not known or not the same everywhere, or
            if it does not suit that number, or returns another one.
    """
    factory: Any = record.factory
    channels = {site.channels for site in places}
    # Dense layers act on the last axis, which of a batch of vectors is axis 1 too.
    dims = {site.dim for site in places}
    dim = dims.pop() if len(dims) == 1 else 1
    count = channels.pop() if len(channels) == 1 else None
    if count is not None:
        return _of_one_shape(factory.for_channels(count, **_dim_option(factory.for_channels, dim)), count, record.name)
    required = [p.name for p in inspect.signature(factory).parameters.values() if p.default is p.empty]
    if required:
        seen = sorted({site.channels for site in places if site.channels is not None})
        known = f"it is called with {seen} of them" if len(seen) > 1 else "the network's graph does not tell it"
        raise ValueError(f"{record.name!r} needs the number of channels, and {known}")
    return factory(**_dim_option(factory, dim))


def _dim_option(make: Any, dim: int) -> dict[str, int]:
    return {"dim": dim} if "dim" in inspect.signature(make).parameters else {}


def _of_one_shape(layer: nn.Module, channels: int, name: str) -> nn.Module:
    with torch.no_grad():
        outputs = layer(torch.zeros(1, channels)).shape[1]
    if outputs != channels:
        raise ValueError(f"{name!r} turns {channels} channels into {outputs}, which does not suit what follows")
    return layer
