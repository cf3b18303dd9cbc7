"""Dense networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.models.method import Method
from onelip.models.registry import check_fractions, check_sizes, register_model


@register_model("mlp")
def mlp(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (256, 256, 256),
    head: str | None = None,
    dropout_input: float = 0.0,
    dropout_hidden: float = 0.0,
) -> nn.Sequential:
    """Dense layers and activations on the flattened image.

    Args:
        input_shape: `(C, H, W)`.
        n_classes: Number of logits.
        method: How layers are made.
        widths: Features of each hidden layer; may be empty.
        head: Method of the last layer, a registered dense layer or "plain"; by default that of the others. One with
            rows of norm 1 lets the network choose the angles between classes, which certificates use pair by pair.
        dropout_input: Part of the pixels that a training step sets to zero, in [0, 1).
        dropout_hidden: Part of the features behind each activation that it does, in [0, 1).

    Returns:
        The network.

    Raises:
        ValueError: An option is out of range.
    """
    check_sizes("mlp", lists={"widths": widths})
    check_fractions("mlp", dropout_input=dropout_input, dropout_hidden=dropout_hidden)
    channels, height, width = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    n_features = channels * height * width
    if dropout_input > 0:
        parts["drop"] = nn.Dropout(dropout_input)
    for i, n_hidden in enumerate(widths, start=1):
        parts[f"dense{i}"], parts[f"act{i}"] = method.dense(n_features, n_hidden), method.act(n_hidden)
        if dropout_hidden > 0:
            parts[f"drop{i}"] = nn.Dropout(dropout_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes, name=head)
    return nn.Sequential(parts)
