"""A ResNet of SLL layers, between which SLL x AOC layers stride and widen, for images of 224x224 pixels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import L2NormPool2d, SLLConv2d, SLLxAOCConv2d
from onelip.models.conv_unit import check_norm, conv_unit, norm_part
from onelip.models.method import Method
from onelip.models.readout import check_pool, readout
from onelip.models.registry import check_sizes, register_model
from onelip.models.residual_blocks import check_image


@register_model("sll-resnet50")
def sll_resnet50(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 64,
    blocks: Sequence[int] = (3, 4, 6, 3),
    expansion: int = 2,
    norm: str = "none",
    pool: str = "l2",
    head: str | None = None,
) -> nn.Sequential:
    """A 7x7 convolution of stride 2, norms of 2x2 pixels, and four stages that start four times as wide and double.

    The first layer of each stage is an SLL x AOC layer, which widens and, but in the first stage, has stride 2; the
    others are SLL layers. They contain their activation, the `method` makes the first convolution and the head.
    Padding is circular, where the orthogonal parts keep every norm. The published sketch does not run: it confuses the
    two kinds of layers.

    Args:
        input_shape: `(C, H, W)`; multiples of 2 to the number of stages plus 1.
        n_classes: Number of logits.
        method: How the first convolution and the head are made, with strides; published with "aoc".
        width: Channels of the first convolution.
        blocks: Layers in each stage.
        expansion: How many times more channels are inside of the SLL layers.
        norm: "none" or a registered normalisation.
        pool: "l2", "average", "max", "conv" or "none".
        head: Method of the last layer, by default that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430 (its library Orthogonium); Araujo et al. 2023, arXiv:2303.03169.
    """
    where = "sll-resnet50"
    check_sizes(where, lists={"blocks": blocks}, width=width, expansion=expansion)
    check_norm(where, norm)
    check_pool(where, pool, norm)
    check_image(where, input_shape, method, 2 ** (len(blocks) + 1))
    channels = width
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = conv_unit(
        method, (input_shape[0], width), 7, stride=2, padding_mode="circular", norm=norm, bias=True
    )
    parts["pool1"] = L2NormPool2d(2)
    for stage, n_blocks in enumerate(blocks):
        out, stride = 4 * width * 2**stage, 2 if stage else 1
        stack: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(1, n_blocks + 1):
            layer: nn.Module
            if i == 1:
                layer = SLLxAOCConv2d(channels, out, 3, stride, 1, padding_mode="circular")
            else:
                inner = expansion * out
                layer = SLLConv2d(out, out, 3, padding="same", padding_mode="circular", inner_channels=inner)
            stack[f"block{i}"] = nn.Sequential(OrderedDict(conv=layer) | norm_part(norm, out))
            channels = out
        parts[f"stage{stage + 1}"] = nn.Sequential(stack)
    unit = 2 ** (len(blocks) + 1)
    image = (channels, input_shape[1] // unit, input_shape[2] // unit)
    return nn.Sequential(parts | readout(method, image, n_classes, pool=pool, head=head))
