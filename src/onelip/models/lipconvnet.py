"""LipConvnet-5 to LipConvnet-40: the networks of the papers on skew orthogonal convolutions."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.layers import InvertibleDownsampling2d
from onelip.models.conv_unit import check_multiple, check_odd, conv_unit
from onelip.models.method import Method
from onelip.models.readout import readout
from onelip.models.registry import check_sizes, register_model

_STAGES = 5


def lipconvnet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    name: str,
    width: int,
    depth: int,
    kernel_size: int,
    stages: int,
    head: str | None,
) -> nn.Sequential:
    """Stages of convolutions with activations; the last one of each halves the image and doubles the width.

    It halves by moving blocks of 2x2 pixels into channels, as published, so methods without strides fit. The last
    convolution of all has a 1x1 kernel. Images are padded with zeros.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `2^stages`.
        n_classes: Number of logits.
        method: How layers are made; published with "soc" and the activation "maxmin" or "householder", later with
            "lot" and "bro".
        name: The model's name, for messages.
        width: Channels of the first stage.
        depth: Convolutions in a stage.
        kernel_size: Side of the kernels, odd.
        stages: Number of stages.
        head: Method of the last layer, by default that of the dense layers; "unit-norm" is last-layer normalisation.
            The published head without it is a 1x1 skew convolution of as many channels as it gets, of which the first
            logits are used: the same kind of map with a hundred times the numbers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Singla and Feizi 2021, arXiv:2105.11417; Singla, Singla and Feizi 2022, arXiv:2108.04062.
    """
    check_sizes(name, width=width, depth=depth, kernel_size=kernel_size, stages=stages)
    check_odd(name, kernel_size=kernel_size)
    check_multiple(name, input_shape, 2**stages)
    channels, height, wide = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for stage in range(1, stages + 1):
        units = []
        for _ in range(depth - 1):
            units.append(conv_unit(method, (channels, width), kernel_size, bias=True))
            channels = width
        last = 1 if stage == stages else kernel_size
        down = conv_unit(method, (4 * channels, 2 * width), last, bias=True)
        parts[f"stage{stage}"] = nn.Sequential(*units, InvertibleDownsampling2d(2), down)
        channels = width = 2 * width
    image = (channels, height // 2**stages, wide // 2**stages)
    return nn.Sequential(parts | readout(method, image, n_classes, head=head))


def _register(n_layers: int) -> None:
    name = f"lipconvnet-{n_layers}"

    summary = f"LipConvnet-{n_layers} of arXiv:2105.11417: {n_layers} convolutions in five stages"

    @register_model(name, summary=summary, layer="soc")
    def of_depth(
        *,
        input_shape: tuple[int, int, int],
        n_classes: int,
        method: Method,
        width: int = 32,
        depth: int = n_layers // _STAGES,
        kernel_size: int = 3,
        stages: int = _STAGES,
        head: str | None = None,
    ) -> nn.Sequential:
        return lipconvnet(
            input_shape=input_shape,
            n_classes=n_classes,
            method=method,
            name=name,
            width=width,
            depth=depth,
            kernel_size=kernel_size,
            stages=stages,
            head=head,
        )


for _n_layers in range(5, 45, 5):
    _register(_n_layers)
