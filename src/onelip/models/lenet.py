"""The small network with two 5x5 convolutions that small data sets of digits are tried with."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model

_KERNEL = 5


@register_model("lenet", layer="rko", linear="bjorck", activation="relu")
def lenet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 10,
    dense: int = 50,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Two 5x5 convolutions without padding, each before maxima of 2x2 pixels, and two dense layers.

    Args:
        input_shape: `(C, H, W)`; H and W must be at least 16.
        n_classes: Number of logits.
        method: How layers are made.
        width: Channels of the first convolution; the second has twice as many.
        dense: Features of the hidden dense layer.
        dropout: Part of the second convolution's channels, and of the hidden features, that is left out in training;
            0 for none. Evaluation is without it.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition"; in this form
        Anil, Lucas and Grosse 2019, arXiv:1811.05381.
    """
    check_sizes("lenet", width=width, dense=dense)
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout={dropout} for model 'lenet' must be at least 0 and below 1")
    channels, *sides = input_shape
    if min(sides) < 16:
        raise ValueError(f"input_shape={input_shape} does not fit model 'lenet'; height and width must be at least 16")
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, n_out in enumerate((width, 2 * width), start=1):
        parts[f"conv{i}"] = method.exact_conv2d(channels, n_out, _KERNEL)
        if dropout and i == 2:
            parts["channel_dropout"] = nn.Dropout2d(dropout)
        parts[f"pool{i}"], parts[f"act{i}"] = nn.MaxPool2d(2), method.act(n_out)
        channels, sides = n_out, [(n - _KERNEL + 1) // 2 for n in sides]
    parts["flatten"] = nn.Flatten()
    parts["dense"], parts["dense_act"] = method.dense(channels * sides[0] * sides[1], dense), method.act(dense)
    if dropout:
        parts["dropout"] = nn.Dropout(dropout)
    parts["head"] = method.dense(dense, n_classes)
    return nn.Sequential(parts)
