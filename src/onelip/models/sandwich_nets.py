"""Networks of sandwich layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import InvertibleDownsampling2d, SandwichConv2d, SandwichLinear
from onelip.models.conv_unit import check_multiple
from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model

_FACTORS = {"s": 1, "m": 2, "l": 4}


@register_model("sandwich-net")
def sandwich_net(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] | None = None,
    dense: Sequence[int] = (2048, 2048, 1024),
    head: str | None = "unit-norm",
) -> nn.Sequential:
    """Sandwich layers in stages, each of which halves the image, then sandwich dense layers and a normalised head.

    A stage has a 3x3 convolution and a 1x1 convolution on the image whose blocks of 2x2 pixels were moved into
    channels. Padding is circular. The layers, which contain their activation, are part of the name; `method` makes a
    head without `head` alone. This is the network of the paper's certified results.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 2 to the number of stages.
        n_classes: Number of logits.
        method: How a head is made that is not given.
        widths: Channels of each stage; None for 64, 128 and so on until the image has less than 8 pixels on a side,
            which makes 3 stages for 32x32 and 4 for 64x64 pixels, as published.
        dense: Features of the dense layers.
        head: Method of the last layer; "unit-norm" is last-layer normalisation, as published.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Wang and Manchester 2023, arXiv:2301.11526, section on certified robustness.
    """
    where = "sandwich-net"
    if widths is None:
        n_stages = max(1, min(input_shape[1:]).bit_length() - 3)
        widths = [64 * 2**i for i in range(n_stages)]
    check_sizes(where, lists={"widths": widths, "dense": dense})
    return _network(where, input_shape, n_classes, method, widths, dense, head)


def _network(
    where: str,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int],
    dense: Sequence[int],
    head: str | None,
) -> nn.Sequential:
    unit = 2 ** len(widths)
    check_multiple(where, input_shape, unit)
    channels, height, wide = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, width in enumerate(widths, start=1):
        parts[f"conv{i}"] = SandwichConv2d(channels, width, 3, padding=1, padding_mode="circular")
        parts[f"down{i}"] = nn.Sequential(InvertibleDownsampling2d(2), SandwichConv2d(4 * width, width, 1))
        channels = width
    parts["flatten"] = nn.Flatten()
    n_features = channels * (height // unit) * (wide // unit)
    for i, n_hidden in enumerate(dense, start=1):
        parts[f"dense{i}"] = SandwichLinear(n_features, n_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes, name=head)
    return nn.Sequential(parts)


def _register(size: str) -> None:
    name, factor = f"sandwich-{size}", _FACTORS[size]
    summary = f"KW-Large of sandwich layers, arXiv:2301.11526, {factor} times as wide"

    @register_model(name, summary=summary)
    def sized(
        *,
        input_shape: tuple[int, int, int],
        n_classes: int,
        method: Method,
        widths: Sequence[int] = (32 * factor, 64 * factor),
        dense: Sequence[int] = (512 * factor, 512 * factor),
        head: str | None = None,
    ) -> nn.Sequential:
        check_sizes(name, lists={"widths": widths, "dense": dense})
        return _network(name, input_shape, n_classes, method, widths, dense, head)


for _size in _FACTORS:
    _register(_size)
