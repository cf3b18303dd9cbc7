"""The convolutional networks of "1-Lipschitz Layers Compared"."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip import layers
from onelip.models.methods import Methods
from onelip.models.registry import register_model

_CONVS_PER_BLOCK = 5
_SIZES = {"xs": (16, 8), "s": (32, 16), "m": (64, 32), "l": (128, 64)}


def convnet(
    methods: Methods,
    input_shape: tuple[int, ...],
    n_classes: int,
    width: int = 16,
    blocks: int = 5,
    kernel_size: int = 3,
) -> nn.Module:
    """Build the network of the comparison.

    Zero channels up to `width`, a 1x1 convolution, then blocks of five [convolution, activation] that end by dropping
    half of the channels and folding 2x2 pixels into channels, so that the width doubles while the image halves. The
    last block has 1x1 kernels. Then a maximum over what is left of the image and a square dense layer, of whose
    outputs the first `n_classes` count.

    Args:
        methods: Layer methods.
        input_shape: (channels, height, width) of one image.
        n_classes: Outputs.
        width: Channels of the first block.
        blocks: Number of blocks.
        kernel_size: Size of the kernels.

    Returns:
        The network.

    Raises:
        ValueError: If the image cannot be halved `blocks` times, has too many channels, or a number is out of range.

    Paper: Prach, Brau, Buttazzo and Lampert 2024, arXiv:2311.16833.
    """
    _check(methods.model, input_shape, n_classes, width, blocks)
    modules: OrderedDict[str, nn.Module] = OrderedDict(
        pad=layers.ChannelPad(width), first=methods.conv(width, width, 1), first_activation=methods.act(width)
    )
    for i in range(blocks):
        size = 1 if i == blocks - 1 else kernel_size
        modules[f"block{i + 1}"] = _block(methods, width << i, size)
    features = width << blocks
    modules["pool"] = nn.AdaptiveMaxPool2d(1)
    modules["flatten"] = nn.Flatten()
    modules["head"] = methods.dense(features, features)
    modules["keep"] = layers.ChannelKeep(n_classes)
    return nn.Sequential(modules)


def _block(methods: Methods, channels: int, kernel_size: int) -> nn.Module:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for j in range(_CONVS_PER_BLOCK):
        modules[f"conv{j + 1}"] = methods.conv(channels, channels, kernel_size)
        modules[f"activation{j + 1}"] = methods.act(channels)
    modules["keep"] = layers.ChannelKeep(channels // 2)
    modules["fold"] = nn.PixelUnshuffle(2)
    return nn.Sequential(modules)


def _check(model: str, input_shape: tuple[int, ...], n_classes: int, width: int, blocks: int) -> None:
    if blocks < 1 or width < 2 or width % 2:
        raise ValueError(f"width={width}, blocks={blocks} of model {model!r} must be even and positive")
    if len(input_shape) != 3:
        raise ValueError(f"input_shape={input_shape} of model {model!r} must be (channels, height, width)")
    channels, height, breadth = input_shape
    step = 2**blocks
    if channels > width:
        raise ValueError(f"images of {channels} channels do not fit model {model!r} of width={width}; use a wider one")
    if height < step or breadth < step:
        raise ValueError(
            f"images of {height}x{breadth} pixels are too small for model {model!r}, which halves them {blocks} times; "
            f"they must be at least {step}x{step}, or set model.blocks lower"
        )
    if height % step or breadth % step:
        raise ValueError(f"images of {height}x{breadth} pixels do not fit model {model!r}; use multiples of {step}")
    if n_classes > width * step:
        raise ValueError(f"n_classes={n_classes} is more than the {width * step} outputs of model {model!r}")


for _size, (_width, _tiny_width) in _SIZES.items():
    register_model(f"convnet-{_size}", f"ConvNet {_size.upper()} of Layers Compared, for 32x32", width=_width)(convnet)
    register_model(
        f"tiny-convnet-{_size}",
        f"ConvNet {_size.upper()} of Layers Compared, for 64x64",
        width=_tiny_width,
        blocks=6,
    )(convnet)
