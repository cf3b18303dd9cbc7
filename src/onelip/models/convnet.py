"""The convolutional networks of "1-Lipschitz Layers Compared", at eight sizes."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.layers import ChannelKeep, ChannelPad
from onelip.models.method import Method, PaddingMode
from onelip.models.registry import check_choice, check_sizes, register_model

_WIDTHS = {"convnet": (5, (16, 32, 64, 128)), "tiny-convnet": (6, (8, 16, 32, 64))}
_SIZES = ("xs", "s", "m", "l")


def convnet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    name: str,
    width: int,
    blocks: int,
    depth: int,
    kernel_size: int,
    padding_mode: PaddingMode = "circular",
) -> nn.Sequential:
    """Convolutions that never change the number of channels, between halvings of the image.

    Zero channels are appended up to `width`; a 1x1 convolution and an activation follow, then `blocks` blocks, each of
    `depth` convolutions with activations, the dropping of half the channels and a pixel-unshuffle, so the width
    doubles and the image halves. The last block has 1x1 kernels. At the end: maximum over what is left of the image,
    a square dense layer, and of its outputs the first `n_classes`.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `2^blocks`.
        n_classes: Number of logits, at most `width 2^blocks`.
        method: How layers are made.
        name: The model's name, for messages.
        width: Channels of the first block, even.
        blocks: Number of blocks.
        depth: Convolutions in a block.
        kernel_size: Side of the kernels, odd.
        padding_mode: How to pad, where the method allows it: "circular" or "zeros", as the authors' CPL, LOT, SLL and
            SOC do.

    Returns:
        The network.

    Raises:
        ValueError: The image, the number of classes or an option does not fit.

    Paper:
        Prach, Brau, Buttazzo and Lampert 2023, arXiv:2311.16833, appendix on architectures.
    """
    check_sizes(name, width=width, blocks=blocks, depth=depth, kernel_size=kernel_size)
    check_choice(name, "padding_mode", padding_mode, ("circular", "zeros"))
    _check(input_shape, n_classes, name, width, blocks, kernel_size)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if width > input_shape[0]:
        parts["pad"] = ChannelPad(width)
    parts["first"], parts["first_act"] = method.conv2d(width, width, 1), method.act(width)
    for i in range(1, blocks + 1):
        parts[f"block{i}"] = _block(method, width, depth, 1 if i == blocks else kernel_size, padding_mode)
        width *= 2
    parts |= OrderedDict(pool=nn.AdaptiveMaxPool2d(1), flatten=nn.Flatten(), head=method.dense(width, width))
    if n_classes < width:
        parts["keep"] = ChannelKeep(n_classes)
    return nn.Sequential(parts)


def _block(method: Method, width: int, depth: int, kernel_size: int, padding_mode: PaddingMode) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(1, depth + 1):
        parts[f"conv{i}"] = method.conv2d(width, width, kernel_size, padding_mode=padding_mode)
        parts[f"act{i}"] = method.act(width)
    parts |= OrderedDict(keep=ChannelKeep(width // 2), down=nn.PixelUnshuffle(2))
    return nn.Sequential(parts)


def _check(
    input_shape: tuple[int, int, int], n_classes: int, name: str, width: int, blocks: int, kernel_size: int
) -> None:
    unit, (channels, height, wide) = 2**blocks, input_shape
    if min(height, wide) < unit:
        raise ValueError(
            f"input_shape={input_shape} is an image too small for model {name!r}, which halves it {blocks} times; "
            f"height and width must be at least {unit}"
        )
    if height % unit or wide % unit:
        raise ValueError(
            f"input_shape={input_shape} does not fit model {name!r}, which halves the image {blocks} times; "
            f"height and width must be multiples of {unit}"
        )
    if width % 2 or width < channels:
        raise ValueError(
            f"width={width} for model {name!r} must be even and at least the {channels} channels of the image"
        )
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size={kernel_size} for model {name!r} must be odd")
    if n_classes > width * unit:
        raise ValueError(
            f"n_classes={n_classes} exceeds the {width * unit} outputs of model {name!r}; take a larger width"
        )


def _register(name: str, n_blocks: int, default_width: int) -> None:
    summary = f"The ConvNet of arXiv:2311.16833 with {n_blocks} blocks, from {default_width} channels on"

    @register_model(name, summary=summary)
    def sized(
        *,
        input_shape: tuple[int, int, int],
        n_classes: int,
        method: Method,
        width: int = default_width,
        blocks: int = n_blocks,
        depth: int = 5,
        kernel_size: int = 3,
        padding_mode: PaddingMode = "circular",
    ) -> nn.Sequential:
        return convnet(
            input_shape=input_shape,
            n_classes=n_classes,
            method=method,
            name=name,
            width=width,
            blocks=blocks,
            depth=depth,
            kernel_size=kernel_size,
            padding_mode=padding_mode,
        )


for _family, (_blocks, _widths) in _WIDTHS.items():
    for _size, _width in zip(_SIZES, _widths, strict=True):
        _register(f"{_family}-{_size}", _blocks, _width)
