"""A pyramid of orthogonal convolutions on patches, made to learn much in little time on a CPU."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import InvertibleDownsampling2d
from onelip.models.method import Method, PaddingMode
from onelip.models.readout import readout
from onelip.models.registry import check_choice, check_sizes, register_model

_PADDINGS = ("zeros", "circular")


@register_model("pyramid", layer="aoc", activation="beta-abs")
def pyramid(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    patch: int = 4,
    widths: Sequence[int] = (128, 256),
    depths: Sequence[int] = (3, 3),
    kernel_size: int = 3,
    dense: Sequence[int] = (256,),
    head: str | None = "unit-norm",
    padding_mode: PaddingMode = "zeros",
) -> nn.Sequential:
    """Stages of convolutions that keep their width, on images that halve from stage to stage; then dense layers.

    The patches of the image become pixels, a convolution brings them to the width of the first stage, and a stage of
    depth d is d times convolution and activation. Between stages the image is halved without loss and a 1x1
    convolution brings its channels to the next width. Most of the time goes into 3x3 convolutions of 8x8 and 4x4
    images, which a CPU does at its best rate in bfloat16. Convolutions that have an option `start` begin at the
    identity, so that the whole network begins as a chain of a few 1x1 convolutions; biases begin at 0.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `patch 2^(stages - 1)`.
        n_classes: Number of logits.
        method: How layers are made.
        patch: Side of the patches.
        widths: Channels of each stage.
        depths: Convolutions of each stage, besides the one that sets its width.
        kernel_size: Side of the kernels, odd.
        dense: Features of the hidden dense layers.
        head: Method of the last layer; null for that of the other dense layers.
        padding_mode: "zeros" or "circular".

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.
    """
    where = "pyramid"
    check_sizes(where, patch=patch, kernel_size=kernel_size, lists={"widths": widths, "dense": dense})
    _check(input_shape, patch, widths, depths, kernel_size)
    check_choice(where, "padding_mode", padding_mode, _PADDINGS)
    channels, height, width = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (wide, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        block = patch if i == 1 else 2
        parts[f"down{i}"] = InvertibleDownsampling2d(block)
        channels, height, width = channels * block * block, height // block, width // block
        kernel = kernel_size if i == 1 else 1
        parts[f"widen{i}"] = method.conv2d(channels, wide, kernel, padding_mode=padding_mode)
        parts[f"widen_act{i}"] = method.act(wide)
        for j in range(1, depth + 1):
            parts[f"conv{i}_{j}"] = method.conv2d(
                wide, wide, kernel_size, padding_mode=padding_mode, suggested={"start": "identity"}
            )
            parts[f"act{i}_{j}"] = method.act(wide)
        channels = wide
    parts |= readout(method, (channels, height, width), n_classes, dense=dense, head=head, act=False)
    network = nn.Sequential(parts)
    for name, parameter in network.named_parameters():
        if name.rpartition(".")[2] == "bias":
            nn.init.zeros_(parameter)
    return network


def _check(
    input_shape: tuple[int, int, int], patch: int, widths: Sequence[int], depths: Sequence[int], kernel_size: int
) -> None:
    if len(widths) != len(depths) or not widths or not all(isinstance(d, int) and d >= 0 for d in depths):
        raise ValueError(
            f"depths={list(depths)!r} for model 'pyramid' must be integers >= 0, one for each of the {len(widths)} "
            f"widths"
        )
    unit = patch * 2 ** (len(widths) - 1)
    if input_shape[1] % unit or input_shape[2] % unit:
        raise ValueError(
            f"input_shape={input_shape} does not fit model 'pyramid' with patch={patch} and {len(widths)} stages; "
            f"height and width must be multiples of {unit}"
        )
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size={kernel_size} for model 'pyramid' must be odd")
