"""A 1-Lipschitz network laid out as VGG-16, with strides in place of pooling, for images of 224x224 pixels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.models.conv_unit import check_norm, conv_unit
from onelip.models.method import Method
from onelip.models.readout import readout
from onelip.models.registry import check_sizes, register_model
from onelip.models.residual_blocks import check_image

_LAYOUT = ((1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (4, 1), (8, 2), (8, 1), (8, 1), (8, 2), (8, 1), (8, 1))
"""Channels, as multiples of the first width, and stride of each convolution but the last one."""


@register_model("lip-vgg")
def lip_vgg(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 64,
    dense: Sequence[int] = (4096, 4096),
    norm: str = "layer-centering",
    head: str | None = None,
) -> nn.Sequential:
    """Thirteen 3x3 convolutions, five of them with stride 2, and three dense layers.

    All convolutions but the last are followed by an activation and a normalisation. Convolutions and dense layers have
    no bias; images are padded with zeros.

    Args:
        input_shape: `(C, H, W)`; multiples of 32 for methods that are not plain.
        n_classes: Number of logits.
        method: How layers are made, with strides; published with "aoc".
        width: Channels of the first convolution; they grow to eight times as many.
        dense: Features of the hidden dense layers.
        norm: "none" or a registered normalisation.
        head: Method of the last layer, by default that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430 (its library Orthogonium); Simonyan and Zisserman 2014, arXiv:1409.1556.
    """
    check_sizes("lip-vgg", lists={"dense": dense}, width=width)
    check_norm("lip-vgg", norm)
    check_image("lip-vgg", input_shape, method, 32)
    channels, height, wide = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (factor, stride) in enumerate(_LAYOUT, start=1):
        parts[f"unit{i}"] = conv_unit(method, (channels, factor * width), 3, stride=stride, norm=norm)
        channels = factor * width
    parts["last"] = method.conv2d(channels, channels, 3, stride=2, padding_mode="zeros", bias=False)
    image = (channels, -(-height // 32), -(-wide // 32))
    return nn.Sequential(parts | readout(method, image, n_classes, dense=dense, head=head, bias=False))
