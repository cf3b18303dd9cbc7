"""A 1-Lipschitz network laid out as ResNet-34, for images of 224x224 pixels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import PrescaledResidual
from onelip.models.conv_unit import check_norm, conv_unit, norm_part
from onelip.models.method import Method
from onelip.models.readout import check_pool, readout
from onelip.models.registry import check_sizes, register_model
from onelip.models.residual_blocks import check_image


@register_model("lip-resnet")
def lip_resnet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 64,
    blocks: Sequence[int] = (3, 4, 6, 3),
    alpha: float = 3.0,
    norm: str = "none",
    pool: str = "average",
    head: str | None = "unit-norm",
) -> nn.Sequential:
    """A 7x7 convolution of stride 2, maxima of 2x2 pixels, and stages of residual blocks whose width doubles.

    A block is (x + f(alpha x)) / (1 + |alpha|) of two 3x3 convolutions, each with a normalisation and an activation.
    In each stage but the first, a 3x3 convolution of stride 2 stands for the first block. Convolutions have no bias
    and are padded with zeros. `resnet34` is the ordinary network for small images.

    Args:
        input_shape: `(C, H, W)`; multiples of 2 to the number of stages plus 1, for methods that are not plain.
        n_classes: Number of logits.
        method: How layers are made, with strides; published with "aoc".
        width: Channels of the first stage.
        blocks: Blocks in each stage.
        alpha: First value of every alpha.
        norm: "none" or a registered normalisation.
        pool: "average" (times the root of the image's size), "l2", "max", "conv" or "none".
        head: Method of the last layer; None for that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430; the library Orthogonium.
    """
    where = "lip-resnet"
    check_sizes(where, lists={"blocks": blocks}, width=width)
    check_norm(where, norm)
    check_pool(where, pool)
    check_image(where, input_shape, method, 2 ** (len(blocks) + 1))
    channels, height, wide = width, input_shape[1], input_shape[2]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = conv_unit(method, (input_shape[0], width), 7, stride=2, norm=norm)
    parts["max"] = nn.MaxPool2d(2)
    height, wide = (height + 1) // 2 // 2, (wide + 1) // 2 // 2
    for stage, n_blocks in enumerate(blocks):
        out = width * 2**stage
        made: list[nn.Module] = []
        if stage:
            down = method.conv2d(channels, out, 3, stride=2, padding_mode="zeros", bias=False)
            made.append(nn.Sequential(OrderedDict(conv=down) | norm_part(norm, out)))
            height, wide = (height + 1) // 2, (wide + 1) // 2
        made += [PrescaledResidual(_branch(method, out, norm), alpha) for _ in range(n_blocks - len(made))]
        parts[f"stage{stage + 1}"] = nn.Sequential(*made)
        channels = out
    return nn.Sequential(parts | readout(method, (channels, height, wide), n_classes, pool=pool, head=head, bias=False))


def _branch(method: Method, width: int, norm: str) -> nn.Sequential:
    units = []
    for _ in range(2):
        conv = OrderedDict(conv=method.conv2d(width, width, 3, padding_mode="zeros", bias=False))
        units.append(nn.Sequential(conv | norm_part(norm, width) | OrderedDict(act=method.act(width))))
    return nn.Sequential(*units)
