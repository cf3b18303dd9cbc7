"""The large network of the BCOP paper as Orthogonium builds it: strides instead of halved images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.models.conv_unit import check_norm, conv_unit
from onelip.models.method import Method
from onelip.models.readout import readout
from onelip.models.registry import check_sizes, register_model
from onelip.models.residual_blocks import check_image


@register_model("bcop-large")
def bcop_large(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 32,
    dense: Sequence[int] = (512, 512),
    norm: str = "none",
) -> nn.Sequential:
    """Four convolutions, every second one 5x5 with stride 2, and three dense layers.

    Layers have biases; padding is circular where the method allows it. "lconvnet-large" is the network of the paper.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 4 for methods that are not plain.
        n_classes: Number of logits.
        method: How layers are made, with strides; published with "aoc".
        width: Channels of the first convolution; the others have twice as many.
        dense: Features of the hidden dense layers.
        norm: "none" or a registered normalisation, behind the activations of convolutions.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430 (its library Orthogonium); Li et al. 2019, arXiv:1911.00937.
    """
    check_sizes("bcop-large", lists={"dense": dense}, width=width)
    check_norm("bcop-large", norm)
    check_image("bcop-large", input_shape, method, 4)
    channels, height, wide = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (out, kernel_size, stride) in enumerate([(1, 3, 1), (2, 5, 2), (2, 3, 1), (2, 5, 2)], start=1):
        parts[f"unit{i}"] = conv_unit(
            method,
            (channels, out * width),
            kernel_size,
            stride=stride,
            padding_mode="circular",
            norm=norm,
            bias=True,
        )
        channels = out * width
    image = (channels, (height + 3) // 4, (wide + 3) // 4)
    return nn.Sequential(parts | readout(method, image, n_classes, dense=dense))
