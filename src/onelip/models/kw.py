"""The plain ReLU networks that training against a linear relaxation was published with."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model


@register_model("kw-small", layer="plain", activation="relu")
def kw_small(
    *, input_shape: tuple[int, int, int], n_classes: int, method: Method, width: int = 16, dense: int = 100
) -> nn.Sequential:
    """Two convolutions of stride 2 and two dense layers, ordinary ones, padded with zeros.

    As `lconvnet-small`, but for what the layers are: 4x4 kernels over the image itself, which on a halved one would be
    3x3 with zeros in the corners.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 4.
        n_classes: Number of logits.
        method: How layers are made; published with "plain" and ReLU.
        width: Channels of the first convolution; the second has twice as many.
        dense: Features of the hidden dense layer.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Wong, Schmidt, Metzen and Kolter 2018, arXiv:1805.12514, "small".
    """
    check_sizes("kw-small", width=width, dense=dense)
    return _network("kw-small", method, input_shape, [(width, 4), (2 * width, 4)], [dense], n_classes)


@register_model("kw-large", layer="plain", activation="relu")
def kw_large(
    *, input_shape: tuple[int, int, int], n_classes: int, method: Method, width: int = 32, dense: int = 512
) -> nn.Sequential:
    """Four convolutions, every second one of stride 2, and three dense layers, ordinary ones, padded with zeros.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 4.
        n_classes: Number of logits.
        method: How layers are made; published with "plain" and ReLU.
        width: Channels of the first two convolutions; the others have twice as many.
        dense: Features of the two hidden dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Wong, Schmidt, Metzen and Kolter 2018, arXiv:1805.12514, "large".
    """
    check_sizes("kw-large", width=width, dense=dense)
    convolutions = [(n, k) for n in (width, 2 * width) for k in (3, 4)]
    return _network("kw-large", method, input_shape, convolutions, [dense, dense], n_classes)


def _network(
    name: str,
    method: Method,
    input_shape: tuple[int, int, int],
    convolutions: list[tuple[int, int]],
    dense: list[int],
    n_classes: int,
) -> nn.Sequential:
    # Convolutions are given by their channels and the side of their kernel: those of side 4 halve the image.
    channels, height, width = input_shape
    if height % 4 or width % 4:
        raise ValueError(
            f"input_shape={input_shape} does not fit model {name!r}, which halves the image twice; height and width "
            f"must be multiples of 4"
        )
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (n_out, kernel_size) in enumerate(convolutions, start=1):
        stride = 2 if kernel_size == 4 else 1
        parts[f"conv{i}"] = method.conv2d(channels, n_out, kernel_size, stride=stride, padding_mode="zeros")
        parts[f"act{i}"] = method.act(n_out)
        channels, height, width = n_out, height // stride, width // stride
    parts["flatten"] = nn.Flatten()
    n_features = channels * height * width
    for i, n_hidden in enumerate(dense, start=1):
        parts[f"dense{i}"], parts[f"dense_act{i}"] = method.dense(n_features, n_hidden), method.act(n_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes)
    return nn.Sequential(parts)
