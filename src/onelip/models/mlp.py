"""Dense networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from onelip import layers
from onelip.linalg import unknown_name
from onelip.models.methods import PLAIN, Methods
from onelip.models.registry import register_model


@register_model("mlp", "dense layers of the given widths, and a head of unit-norm rows")
def mlp(
    methods: Methods,
    input_shape: tuple[int, ...],
    n_classes: int,
    widths: Sequence[int] = (256, 256, 256),
    head: str | None = "unit-norm",
) -> nn.Module:
    """Build Flatten, then [dense, activation] for each width, then the head.

    Args:
        methods: Layer methods; the dense one is used.
        input_shape: Shape of one sample.
        n_classes: Outputs.
        widths: Size of each hidden layer.
        head: Method of the last layer, or None for that of the others. Rows of norm 1 let the head choose the angles
            between classes, which certificates take into account pair by pair.

    Returns:
        The network.

    Raises:
        ValueError: If a width is not a positive integer or the head's method is unknown.
    """
    if not widths or not all(isinstance(w, int) and w > 0 for w in widths):
        raise ValueError(f"widths={widths!r} of model 'mlp' must be a list of positive integers")
    dense = {*layers.available("linear"), PLAIN}
    if head is not None and head not in dense:
        raise ValueError(unknown_name("head of model 'mlp'", head, dense))
    modules: list[nn.Module] = [nn.Flatten()]
    size = math.prod(input_shape)
    for width in widths:
        modules += [methods.dense(size, width), methods.act(width)]
        size = width
    # A baseline stays a baseline down to its head.
    chosen = PLAIN if methods.dense_method == PLAIN else head
    return nn.Sequential(*modules, methods.dense(size, n_classes, chosen))
