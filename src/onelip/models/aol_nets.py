"""The networks of the paper on almost orthogonal layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import ChannelKeep, InvertibleDownsampling2d
from onelip.models.conv_unit import check_multiple, conv_unit
from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model

_PER_PATCH = {"aol-small": 16, "aol-medium": 32, "aol-large": 48}


def aol_patchwise(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    name: str,
    per_patch: int,
    patch: int,
    width: int,
    depth: int,
    dense: int,
) -> nn.Sequential:
    """Convolutions on patches, of which a few channels go into a stack of square dense layers.

    A 1x1 convolution on the patches, `depth` 3x3 convolutions, each with an activation, and a 1x1 convolution without,
    of which the first `per_patch` channels are kept; then `dense` square dense layers with activations between them.
    The logits are the first outputs. Images are padded with zeros.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `patch`.
        n_classes: Number of logits, at most the features of the dense layers, `per_patch` for each patch.
        method: How layers are made; published with "aol".
        name: The model's name, for messages.
        per_patch: Channels that are kept, at most `width`.
        patch: Side of the patches.
        width: Channels of the convolutions.
        depth: Number of 3x3 convolutions.
        dense: Number of dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Prach and Lampert 2022, arXiv:2208.03160.
    """
    check_sizes(name, per_patch=per_patch, patch=patch, width=width, depth=depth, dense=dense)
    check_multiple(name, input_shape, patch)
    if per_patch > width:
        raise ValueError(f"per_patch={per_patch} for model {name!r} must be at most width={width}")
    channels, height, wide = input_shape
    n_features = per_patch * (height // patch) * (wide // patch)
    _check_classes(name, n_classes, n_features)
    parts: OrderedDict[str, nn.Module] = OrderedDict(patches=InvertibleDownsampling2d(patch))
    parts["stem"] = conv_unit(method, (channels * patch**2, width), 1, bias=True)
    for i in range(1, depth + 1):
        parts[f"unit{i}"] = conv_unit(method, (width, width), 3, bias=True)
    parts |= OrderedDict(narrow=method.conv2d(width, width, 1), keep=ChannelKeep(per_patch), flatten=nn.Flatten())
    return nn.Sequential(parts | _square_dense(method, n_features, n_features, dense, n_classes))


@register_model("aol-fc", layer="aol")
def aol_fc(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 4096,
    depth: int = 8,
) -> nn.Sequential:
    """Dense layers of one width with activations between them; the logits are the first outputs.

    Args:
        input_shape: `(C, H, W)`.
        n_classes: Number of logits, at most `width`.
        method: How layers are made; published with "aol".
        width: Features of each layer.
        depth: Number of layers.

    Returns:
        The network.

    Raises:
        ValueError: An option does not fit.

    Paper:
        Prach and Lampert 2022, arXiv:2208.03160.
    """
    check_sizes("aol-fc", width=width, depth=depth)
    _check_classes("aol-fc", n_classes, width)
    channels, height, wide = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    return nn.Sequential(parts | _square_dense(method, channels * height * wide, width, depth, n_classes))


@register_model("aol-conv", layer="aol")
def aol_conv(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 16,
    depth: int = 5,
    stages: int = 5,
) -> nn.Sequential:
    """Stages that halve the image and quadruple the channels, so that the first ones keep the number of entries.

    A stage moves blocks of 2x2 pixels into channels and has `depth` convolutions with activations, the first of them
    1x1 and the others 3x3; all are 1x1 in the last two stages. The last stage stays as wide as the one before: it gets
    a 1x1 convolution's first quarter. After another 1x1 convolution, the logits are the first channels.

    Args:
        input_shape: `(C, H, W)`; H and W must be `2^stages`.
        n_classes: Number of logits, at most `width 4^(stages - 2)`.
        method: How layers are made; published with "aol".
        width: Channels of the first stage.
        depth: Convolutions in a stage.
        stages: Number of stages, at least 3.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Prach and Lampert 2022, arXiv:2208.03160, ablation on architectures.
    """
    check_sizes("aol-conv", width=width, depth=depth, stages=stages)
    _check_halved("aol-conv", input_shape, stages)
    if stages < 3:
        raise ValueError(f"stages={stages} for model 'aol-conv' must be at least 3")
    widest = width * 4 ** (stages - 2)
    _check_classes("aol-conv", n_classes, widest)
    channels = input_shape[0]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for stage in range(1, stages + 1):
        last = stage == stages
        if last:
            parts |= OrderedDict(narrow=method.conv2d(widest, widest, 1), keep=ChannelKeep(widest // 4))
            channels = widest // 4
        out = min(width * 4 ** (stage - 1), widest)
        units = [InvertibleDownsampling2d(2), conv_unit(method, (4 * channels, out), 1, bias=True)]
        side = 1 if stage >= stages - 1 else 3
        units += [conv_unit(method, (out, out), side, bias=True) for _ in range(depth - 1)]
        parts[f"stage{stage}"] = nn.Sequential(*units)
        channels = out
    return nn.Sequential(parts | _first_channels(method, channels, n_classes))


@register_model("aol-std", layer="aol")
def aol_std(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (32, 64, 128, 256, 512),
    depth: int = 5,
) -> nn.Sequential:
    """Stages that halve the image and double the channels, as ordinary networks do.

    A stage has `depth - 1` 3x3 convolutions with activations, moves blocks of 2x2 pixels into channels, and halves
    their number by a 1x1 convolution without activation. The logits are the first channels of a last 1x1 convolution.

    Args:
        input_shape: `(C, H, W)`; H and W must be 2 to the number of stages.
        n_classes: Number of logits, at most twice the last width.
        method: How layers are made; published with "aol".
        widths: Channels of each stage.
        depth: Convolutions in a stage.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Prach and Lampert 2022, arXiv:2208.03160, ablation on architectures.
    """
    check_sizes("aol-std", lists={"widths": widths}, depth=depth)
    _check_halved("aol-std", input_shape, len(widths))
    channels = widths[0] if widths else input_shape[0]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = conv_unit(method, (input_shape[0], channels), 1, bias=True)
    for stage, width in enumerate(widths, start=1):
        units = []
        for _ in range(depth - 1):
            units.append(conv_unit(method, (channels, width), 3, bias=True))
            channels = width
        down = method.conv2d(4 * channels, 2 * width, 1)
        parts[f"stage{stage}"] = nn.Sequential(*units, InvertibleDownsampling2d(2), down)
        channels = 2 * width
    _check_classes("aol-std", n_classes, channels)
    return nn.Sequential(parts | _first_channels(method, channels, n_classes))


def _square_dense(
    method: Method, n_features: int, width: int, depth: int, n_classes: int
) -> OrderedDict[str, nn.Module]:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(1, depth + 1):
        if i > 1:
            parts[f"act{i - 1}"] = method.act(width)
        parts[f"dense{i}"] = method.dense(n_features, width)
        n_features = width
    parts["logits"] = ChannelKeep(n_classes)
    return parts


def _first_channels(method: Method, channels: int, n_classes: int) -> OrderedDict[str, nn.Module]:
    return OrderedDict(head=method.conv2d(channels, channels, 1), logits=ChannelKeep(n_classes), flatten=nn.Flatten())


def _check_halved(where: str, input_shape: tuple[int, int, int], stages: int) -> None:
    if input_shape[1:] != (2**stages, 2**stages):
        raise ValueError(
            f"input_shape={input_shape} does not fit model {where!r} with {stages} stages, which halve the image to "
            f"one pixel; height and width must be {2**stages}"
        )


def _check_classes(where: str, n_classes: int, most: int) -> None:
    if n_classes > most:
        raise ValueError(f"n_classes={n_classes} exceeds the {most} outputs of model {where!r}; take a larger width")


def _register(name: str, channels: int) -> None:
    summary = (
        f"{name.replace('aol', 'AOL').replace('-', ' ')} of arXiv:2208.03160: convolutions on patches, dense layers"
    )

    @register_model(name, summary=summary, layer="aol")
    def sized(
        *,
        input_shape: tuple[int, int, int],
        n_classes: int,
        method: Method,
        per_patch: int = channels,
        patch: int = 4,
        width: int = 192,
        depth: int = 12,
        dense: int = 14,
    ) -> nn.Sequential:
        return aol_patchwise(
            input_shape=input_shape,
            n_classes=n_classes,
            method=method,
            name=name,
            per_patch=per_patch,
            patch=patch,
            width=width,
            depth=depth,
            dense=dense,
        )


for _name, _channels in _PER_PATCH.items():
    _register(_name, _channels)
