"""Share one Lipschitz constant out among the layers of a network that may stretch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from onelip.layers.batch_lip_norm import BatchLipNorm
from onelip.layers.convex_residual import ConvexResidual
from onelip.layers.residuals import Residual, Sum
from onelip.layers.scale import Scale, equal_share


def distribute_constant(model: nn.Module, constant: float) -> float:
    """Give each of the n layers `Scale` and `BatchLipNorm` of a network its share L^(1/n) of a constant L.

    A `Scale` multiplies by the share from now on, with the sign it had; a `BatchLipNorm` by at most the share. In a
    chain of these and of layers with constant 1, each used once, the network's constant is then at most L, in exact
    arithmetic; `lipschitz_bound` tells for any network. Layers inside skip connections and sums are left as they are,
    since their factors do not multiply up. The factors are not in the state dict: distribute again after building the
    model anew.

    Args:
        model: Any module; changed in place.
        constant: The network's constant, positive.

    Returns:
        The share, rounded down.

    Raises:
        ValueError: If `constant` is not a positive finite number, or there is no layer to give it to.
    """
    found = list(_scaling(model, set()))
    if not found:
        raise ValueError(
            f"constant={constant!r} in distribute_constant has no Scale or BatchLipNorm to go to in "
            f"{type(model).__name__}; insert Scale(1.0) where the network may stretch"
        )
    share = equal_share(constant, len(found))
    for layer in found:
        if isinstance(layer, Scale):
            layer.multiply_by_(math.copysign(share, layer.factor))
        else:
            layer.limit_(share)
    return share


def _scaling(module: nn.Module, seen: set[int]) -> Iterator[Scale | BatchLipNorm]:
    if id(module) in seen or isinstance(module, (Residual, ConvexResidual, Sum)):
        return
    seen.add(id(module))
    if isinstance(module, (Scale, BatchLipNorm)):
        yield module
    for child in module.children():
        yield from _scaling(child, seen)
