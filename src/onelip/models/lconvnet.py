"""The networks of the BCOP paper: convolutional, small and large, and dense."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import InvertibleDownsampling2d
from onelip.models.method import Method
from onelip.models.mlp import mlp
from onelip.models.registry import check_fractions, check_sizes, register_model


@register_model("lconvnet-small", layer="bcop", linear="bjorck")
def lconvnet_small(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 16,
    dense: int = 100,
    down_kernel: int = 2,
) -> nn.Sequential:
    """Two convolutions of stride 2 and two dense layers.

    A convolution with a 4x4 kernel and stride 2 is a 2x2 kernel on the image halved without loss, as published.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 4.
        n_classes: Number of logits.
        method: How layers are made.
        width: Channels of the first convolution; the second has twice as many.
        dense: Features of the hidden dense layer.
        down_kernel: Side of the kernels on halved images; methods without even ones take 3.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Li, Haque, Anil, Lucas, Grosse and Jacobsen 2019, arXiv:1911.00937, appendix on architectures.
    """
    check_sizes("lconvnet-small", width=width, dense=dense, down_kernel=down_kernel)
    _check("lconvnet-small", input_shape)
    convolutions = [(width, down_kernel, True), (2 * width, down_kernel, True)]
    return _network(method, input_shape, convolutions, [dense], n_classes)


@register_model("lconvnet-large", layer="bcop", linear="bjorck")
def lconvnet_large(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 32,
    dense: int = 512,
    down_kernel: int = 2,
) -> nn.Sequential:
    """Four convolutions, every second one of stride 2, and three dense layers.

    A convolution with a 4x4 kernel and stride 2 is a 2x2 kernel on the image halved without loss, as published.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 4.
        n_classes: Number of logits.
        method: How layers are made.
        width: Channels of the first two convolutions; the others have twice as many.
        dense: Features of the two hidden dense layers.
        down_kernel: Side of the kernels on halved images; methods without even ones take 3.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Li, Haque, Anil, Lucas, Grosse and Jacobsen 2019, arXiv:1911.00937, appendix on architectures.
    """
    check_sizes("lconvnet-large", width=width, dense=dense, down_kernel=down_kernel)
    _check("lconvnet-large", input_shape)
    convolutions = [(n, k, down) for n in (width, 2 * width) for k, down in ((3, False), (down_kernel, True))]
    return _network(method, input_shape, convolutions, [dense, dense], n_classes)


@register_model("fc-3", layer="bjorck")
def fc_3(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (1024, 1024, 1024),
    dropout_input: float = 0.0,
    dropout_hidden: float = 0.0,
) -> nn.Sequential:
    """Three hidden dense layers of 1024 features: the dense network that the BCOP paper compares with.

    Args:
        input_shape: `(C, H, W)`.
        n_classes: Number of logits.
        method: How layers are made; published with the dense layer "bjorck".
        widths: Features of each hidden layer; may be empty.
        dropout_input: Part of the pixels that a training step sets to zero, in [0, 1); 0.2 in the second paper.
        dropout_hidden: Part of the features behind each activation that it does; 0.5 there.

    Returns:
        The network.

    Raises:
        ValueError: An option does not fit.

    Paper:
        Li, Haque, Anil, Lucas, Grosse and Jacobsen 2019, arXiv:1911.00937; Anil, Lucas and Grosse 2019,
        arXiv:1811.05381.
    """
    check_sizes("fc-3", lists={"widths": widths})
    check_fractions("fc-3", dropout_input=dropout_input, dropout_hidden=dropout_hidden)
    return mlp(
        input_shape=input_shape,
        n_classes=n_classes,
        method=method,
        widths=widths,
        dropout_input=dropout_input,
        dropout_hidden=dropout_hidden,
    )


def _network(
    method: Method,
    input_shape: tuple[int, int, int],
    convolutions: list[tuple[int, int, bool]],
    dense: list[int],
    n_classes: int,
) -> nn.Sequential:
    # Convolutions are given by their channels, their kernel and whether the image is halved before.
    channels, height, width = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (n_out, kernel_size, halves) in enumerate(convolutions, start=1):
        if halves:
            parts[f"down{i}"] = InvertibleDownsampling2d(2)
            channels, height, width = 4 * channels, height // 2, width // 2
        parts[f"conv{i}"] = method.conv2d(channels, n_out, kernel_size)
        parts[f"act{i}"] = method.act(n_out)
        channels = n_out
    parts["flatten"] = nn.Flatten()
    n_features = channels * height * width
    for i, n_hidden in enumerate(dense, start=1):
        parts[f"dense{i}"], parts[f"dense_act{i}"] = method.dense(n_features, n_hidden), method.act(n_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes)
    return nn.Sequential(parts)


def _check(name: str, input_shape: tuple[int, int, int]) -> None:
    if input_shape[1] % 4 or input_shape[2] % 4:
        raise ValueError(
            f"input_shape={input_shape} does not fit model {name!r}, which halves the image twice; height and width "
            f"must be multiples of 4"
        )
