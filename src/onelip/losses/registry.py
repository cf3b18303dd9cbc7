"""Losses by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from onelip.registry import Registry

_REGISTRY: Registry[nn.Module] = Registry("loss")
register_loss = _REGISTRY.register
available = _REGISTRY.available


def build(name: str, **options: Any) -> nn.Module:
    """Build a loss by name.

    Args:
        name: A name from `available()`.
        **options: Keyword arguments of the loss. Those in its `scheduled` may be a `Ramp`, or a mapping of a ramp's
            arguments such as `{"start": 0.01, "end": 0.4, "until": 0.5}`.

    Returns:
        A module that maps logits `(N, K)` and labels `(N,)` to a scalar; if its `uses_constants` is True, also
        `constants`, the Lipschitz constants `(K, K)` of all differences of logits.

    Raises:
        ValueError: The name or an option is unknown, or an option is out of range.
    """
    return _REGISTRY.part(name, options).factory(**options)
