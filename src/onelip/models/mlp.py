"""Dense networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model


@register_model("mlp")
def mlp(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (256, 256, 256),
    head: str | None = None,
) -> nn.Sequential:
    """Dense layers and activations on the flattened image.

    Args:
        input_shape: `(C, H, W)`.
        n_classes: Number of logits.
        method: How layers are made.
        widths: Features of each hidden layer; may be empty.
        head: Method of the last layer, a registered dense layer or "plain"; by default that of the others. One with
            rows of norm 1 lets the network choose the angles between classes, which certificates use pair by pair.

    Returns:
        The network.
    """
    check_sizes("mlp", lists={"widths": widths})
    channels, height, width = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    n_features = channels * height * width
    for i, n_hidden in enumerate(widths, start=1):
        parts[f"dense{i}"], parts[f"act{i}"] = method.dense(n_features, n_hidden), method.act(n_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes, name=head)
    return nn.Sequential(parts)
