"""ResNets for small images, at five depths."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model
from onelip.models.residual_blocks import (
    BasicBlock,
    Block,
    Bottleneck,
    Rescale,
    check_image,
    check_rescale,
    norm,
)

_DEPTHS: dict[int, tuple[Block, tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


def resnet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    name: str,
    block: Block,
    blocks: Sequence[int],
    width: int,
    batch_norm: bool,
    rescale: Rescale,
) -> nn.Sequential:
    """A ResNet as it is used on CIFAR: a 3x3 first convolution without a stride, and no maximum pooling.

    Convolutions are padded with zeros and have no bias. The names of parameters and buffers are those of the widespread
    implementation by Liu (github.com/kuangliu/pytorch-cifar), whose checkpoints load. Instead of its 4x4 mean over
    what is left of a 32x32 image, there is a mean over what is left of any.

    Args:
        input_shape: `(C, H, W)`; of any size for plain layers, multiples of 8 for other methods.
        n_classes: Number of logits.
        method: How layers are made.
        name: The model's name, for messages.
        block: Class of the blocks.
        blocks: Blocks in each of the stages; the first one of each stage but the first has stride 2.
        width: Channels of the first stage; they double with each further one.
        batch_norm: Is there batch normalisation? Without, it is left out, and convolutions still have no bias.
        rescale: Which blocks halve their output: "none", as everyone trains them; those with "projections", as in the
            experiments of arXiv:2402.16017; or "all", which makes blocks of 1-Lipschitz layers 1-Lipschitz.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        He, Zhang, Ren and Sun 2015, arXiv:1512.03385.
    """
    check_sizes(name, lists={"blocks": blocks}, width=width)
    check_rescale(name, rescale, batch_norm)
    check_image(name, input_shape, method, 2 ** (len(blocks) - 1))
    channels = width
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv1"] = method.conv2d(input_shape[0], width, 3, padding_mode="zeros", bias=False)
    parts |= OrderedDict(bn1=norm(width, batch_norm), act1=method.act(width))
    for stage, n_blocks in enumerate(blocks):
        made = []
        for i in range(n_blocks):
            stride = 2 if stage and not i else 1
            wide = width * 2**stage
            made.append(block(method, channels, wide, stride=stride, batch_norm=batch_norm, rescale=rescale))
            channels = wide * block.expansion
        parts[f"layer{stage + 1}"] = nn.Sequential(*made)
    parts |= OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), linear=method.dense(channels, n_classes))
    return nn.Sequential(parts)


def _register(depth: int, kind: Block, numbers: tuple[int, ...]) -> None:
    name = f"resnet{depth}"

    @register_model(name, summary=f"The ResNet of arXiv:1512.03385 with {depth} layers, as it is used on CIFAR")
    def of_depth(
        *,
        input_shape: tuple[int, int, int],
        n_classes: int,
        method: Method,
        blocks: Sequence[int] = numbers,
        width: int = 64,
        batch_norm: bool = True,
        rescale: Rescale = "none",
    ) -> nn.Sequential:
        return resnet(
            input_shape=input_shape,
            n_classes=n_classes,
            method=method,
            name=name,
            block=kind,
            blocks=blocks,
            width=width,
            batch_norm=batch_norm,
            rescale=rescale,
        )


for _depth, (_kind, _numbers) in _DEPTHS.items():
    _register(_depth, _kind, _numbers)
