"""Networks of gradient-step residual layers, CPL and SLL, at four sizes each."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip import layers
from onelip.layers import ChannelPad, ScaledAvgPool2d
from onelip.models.conv_unit import check_multiple
from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model

_SIZES = {"s": (45, 20, 7), "m": (60, 30, 10), "l": (90, 50, 10), "xl": (120, 70, 15)}
_PAPERS = {"cpl": "arXiv:2110.12690", "sll": "arXiv:2303.03169"}
_POOL = 4


def gradient_net(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    name: str,
    layer: str,
    width: int,
    depth: int,
    dense: int,
    inner: int,
    dense_inner: int,
    head: str | None,
) -> nn.Sequential:
    """Zero channels, residual convolutions, averages of 4x4 pixels, residual dense layers and a normalised head.

    The residual layers x - 2 W^T relu(W x + b) keep the number of channels and contain their activation; which ones
    is in the name of the model, and `method` makes a head without `head` alone. Images are padded with zeros.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 4.
        n_classes: Number of logits.
        method: How a head is made that is not given.
        name: The model's name, for messages.
        layer: "cpl" or "sll".
        width: Channels, at least those of the image.
        depth: Number of convolutions.
        dense: Number of dense layers.
        inner: Channels between W and W^T of the convolutions.
        dense_inner: Features between W and W^T of the dense layers.
        head: Method of the last layer; "unit-norm" is last-layer normalisation, as published.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Meunier, Delattre, Araujo and Allauzen 2022, arXiv:2110.12690; Araujo, Havens, Delattre, Allauzen and Hu 2023,
        arXiv:2303.03169.
    """
    check_sizes(name, width=width, depth=depth, dense=dense, inner=inner, dense_inner=dense_inner)
    check_multiple(name, input_shape, _POOL)
    channels, height, wide = input_shape
    if width < channels:
        raise ValueError(f"width={width} for model {name!r} must be at least the {channels} channels of the image")
    parts: OrderedDict[str, nn.Module] = OrderedDict(pad=ChannelPad(width))
    for i in range(1, depth + 1):
        parts[f"conv{i}"] = layers.conv2d(layer, width, width, 3, padding="same", inner_channels=inner)
    parts |= OrderedDict(pool=ScaledAvgPool2d(_POOL), flatten=nn.Flatten())
    n_features = width * (height // _POOL) * (wide // _POOL)
    for i in range(1, dense + 1):
        parts[f"dense{i}"] = layers.linear(layer, n_features, n_features, inner_features=dense_inner)
    parts["head"] = method.dense(n_features, n_classes, name=head)
    return nn.Sequential(parts)


def _register(layer: str, size: str) -> None:
    name, (n_channels, n_convolutions, n_dense) = f"{layer}-{size}", _SIZES[size]
    summary = (
        f"{layer.upper()}-{size.upper()} of {_PAPERS[layer]}: {n_convolutions} residual convolutions, {n_dense} dense"
    )

    @register_model(name, summary=summary)
    def sized(
        *,
        input_shape: tuple[int, int, int],
        n_classes: int,
        method: Method,
        width: int = n_channels,
        depth: int = n_convolutions,
        dense: int = n_dense,
        inner: int = 5,
        dense_inner: int = 2048,
        head: str | None = "unit-norm",
    ) -> nn.Sequential:
        return gradient_net(
            input_shape=input_shape,
            n_classes=n_classes,
            method=method,
            name=name,
            layer=layer,
            width=width,
            depth=depth,
            dense=dense,
            inner=inner,
            dense_inner=dense_inner,
            head=head,
        )


for _layer in _PAPERS:
    for _size in _SIZES:
        _register(_layer, _size)
